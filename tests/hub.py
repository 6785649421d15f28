"""A hub of one's own: a server on this machine with as much of the Hugging Face hub's protocol as its libraries need.

It serves models, data sets, and the hub's parquet copy of a data set that is kept as a script.

Below its folder: models/<id>/<file>, datasets/<id>/main/<file> and, for parquet copies, datasets/<id>/parquet/<file>.
"""

import json
import re
import threading
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import torch
import yaml
from datasets import Dataset

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILE = re.compile(r"/(?P<kind>datasets/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
ABOUT = re.compile(r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)"
                   r"(/(?P<ask>revision|tree)/(?P<revision>[^/]+)(/(?P<path>.+))?)?")


class Handler(BaseHTTPRequestHandler):
    """Answers HEAD and GET; `root` is the folder it serves, `broken` a part of the paths whose answers break off."""

    protocol_version = "HTTP/1.1"
    root: Path
    broken = None

    def do_GET(self):
        path = urlsplit(self.path).path
        if asked := FILE.fullmatch(path):
            status, headers, body = self.file(self.place(asked), unquote(asked["path"]))
        elif asked := ABOUT.fullmatch(path):
            place, tree = self.place(asked), asked["ask"] == "tree"
            status, headers, body = self.tree(place, unquote(asked["path"] or "")) if tree else self.about(place, asked)
        else:
            status, headers, body = 404, {}, b""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            breaks = self.broken is not None and self.broken in path
            self.wfile.write(body[:len(body) // 2] if breaks else body)
            self.close_connection = self.close_connection or breaks

    do_HEAD = do_GET

    def place(self, asked: re.Match) -> Path:
        """The folder of a repository at the revision that was asked for."""
        kind = (asked["kind"] or "models").strip("/")
        branch = {"models": ".", "datasets": "parquet" if "parquet" in (asked["revision"] or "") else "main"}[kind]
        return self.root / kind / asked["repo"] / branch

    def file(self, place: Path, name: str):
        if not (place / name).is_file():
            missing = "EntryNotFound" if place.is_dir() else "RepoNotFound"
            return 404, {"X-Error-Code": missing, "X-Repo-Commit": COMMIT}, b""
        body = (place / name).read_bytes()
        return 200, {"ETag": f'"{sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT}, body

    def about(self, place: Path, asked: re.Match):
        if not place.is_dir():
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        files = [{"rfilename": file.relative_to(place).as_posix()} for file in place.rglob("*") if file.is_file()]
        return self.json({"id": asked["repo"], "sha": COMMIT, "private": False, "siblings": files})

    def tree(self, place: Path, path: str):
        if not (place / path).is_dir():
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        deep = "recursive=true" in self.path
        found = sorted((place / path).rglob("*") if deep else (place / path).iterdir())
        return self.json([{"path": file.relative_to(place).as_posix(), "oid": COMMIT}
                          | ({"type": "file", "size": file.stat().st_size} if file.is_file() else {"type": "directory"})
                          for file in found])

    def json(self, answer):
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def log_message(self, *args):
        pass


@contextmanager
def serve(root: Path, broken: str | None = None):
    """Serve `root`. Yield the address, for HF_ENDPOINT."""
    handler = type("Served", (Handler,), {"root": root, "broken": broken})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def put(root: Path, hub: str, config: str, splits: dict[str, list[dict]], script: bool = False):
    """Add a data set with one configuration: as parquet files, or as a script with the hub's parquet copy."""
    main = root / "datasets" / hub / "main"
    main.mkdir(parents=True)
    name = "{split}/0000.parquet" if script else "{split}-00000-of-00001.parquet"
    where = main.with_name("parquet") if script else main
    files = [{"split": split, "path": f"{config}/{name.format(split=split)}"} for split in splits]
    for file, rows in zip(files, splits.values(), strict=True):
        (where / file["path"]).parent.mkdir(parents=True, exist_ok=True)
        Dataset.from_list(rows).to_parquet(where / file["path"])
    card = {"license": "mit"} if script else {"configs": [{"config_name": config, "data_files": files}]}
    (main / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n")
    if script:
        (main / f"{hub.split('/')[1]}.py").write_text("# a loading script\n")


def put_t5(root: Path, hub: str, lines: list[str]):
    """Add a tiny random T5 v1.1 with the files that google/t5-base-lm-adapt has, and no newer ones.

    Weights pickled by torch, and a sentencepiece model of `lines` from which the tokenizer has to be made.
    """
    import sentencepiece
    from transformers import T5Config, T5ForConditionalGeneration
    folder = root / "models" / hub
    folder.mkdir(parents=True)
    (folder / "lines").write_text("\n".join(lines))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "lines"), model_prefix=str(folder / "spiece"), vocab_size=400, hard_vocab_limit=False,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2)
    for spare in ("lines", "spiece.vocab"):
        (folder / spare).unlink()
    shape = {"d_model": 32, "d_kv": 8, "num_heads": 4, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 2,
             "vocab_size": 512, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
             "decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
    torch.manual_seed(0)
    weights = T5ForConditionalGeneration(T5Config(**shape)).state_dict()
    torch.save(weights | {"lm_head.weight": torch.randn_like(weights["shared.weight"])}, folder / "pytorch_model.bin")
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
               "additional_special_tokens": [f"<extra_id_{i}>" for i in range(100)]}
    for name, content in (("config", shape | {"model_type": "t5", "is_encoder_decoder": True}),
                          ("special_tokens_map", special), ("tokenizer_config", special | {"extra_ids": 100})):
        (folder / f"{name}.json").write_text(json.dumps(content))
