from __future__ import annotations

from blpsim.study import code


def test_the_code_s_hash_covers_what_computes_and_not_what_stores_or_shows(tmp_path, monkeypatch):
    package = tmp_path / "blpsim"
    for part in ("kernels", "estimate", "store", "report"):
        (package / part).mkdir(parents=True)
        (package / part / "module.py").write_text("a = 1\n")
    for name in ("__init__", "streams", "cli"):
        (package / f"{name}.py").write_text("a = 1\n")
    monkeypatch.setattr(code, "__file__", str(package / "study" / "code.py"))
    digest = code.code_hash.__wrapped__
    first = digest()
    for untouched in ("store/module.py", "report/module.py", "cli.py", "__init__.py"):
        (package / untouched).write_text("a = 2\n")
        assert digest() == first
    for touched in ("kernels/module.py", "streams.py", "estimate/module.py"):
        (package / touched).write_text("a = 2\n")
        assert digest() != first
        (package / touched).write_text("a = 1\n")
    (package / "kernels" / "module.py").rename(package / "kernels" / "other.py")
    assert digest() != first
