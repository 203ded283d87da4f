"""Who may import whom, what an import may cost, and how long a file may be."""

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

import pytest

import adtoolkit

ROOT = Path(__file__).parents[1]
CORE, PLUGINS = ROOT / "adtoolkit", ROOT / "plugins"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = sorted(path.name for path in PLUGINS.iterdir() if path.is_dir() and (path / "__init__.py").exists())
FILES = sorted(path for folder in (CORE, PLUGINS, ROOT / "tests") for path in folder.rglob("*.py"))
HEAVY = ("torch", "sklearn", "matplotlib", "scipy", "torchcfm", "nflows", "h5py", "rich")


def imported_packages(path: Path) -> set[str]:
    """Top-level packages that a file imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def heavy_after(*modules: str, forbidden: tuple[str, ...] = HEAVY) -> str:
    """Which of the heavy packages a fresh interpreter holds after importing these modules."""
    code = f"import sys\nfor name in {modules!r}: __import__(name)\nprint(sorted(set({forbidden!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


def dotted(path: Path, base: Path) -> str:
    return ".".join(path.relative_to(base).with_suffix("").parts)


def test_core_imports_no_plugin() -> None:
    guilty = {
        str(path.relative_to(ROOT)): sorted(found) for path in CORE.rglob("*.py") if (found := imported_packages(path) & set(PACKAGES))
    }

    assert guilty == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_plugin_imports_no_other_plugin(package: str) -> None:
    others = set(PACKAGES) - {package}
    guilty = {path.name: sorted(found) for path in (PLUGINS / package).rglob("*.py") if (found := imported_packages(path) & others)}

    assert guilty == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_plugin_and_config_modules_are_light(package: str) -> None:
    """Listing costs a plugin's ``plugin.py``, showing its ``config.py``: no numpy in the one, no torch in the other."""
    assert heavy_after(f"{package}.plugin", forbidden=(*HEAVY, "numpy", "pydantic")) == "[]"
    assert heavy_after(f"{package}.config") == "[]"


def test_core_modules_are_light() -> None:
    """Whatever lies directly under adtoolkit, and every config, is imported without a heavy package."""
    top = [dotted(path, ROOT) for path in sorted(CORE.glob("*.py")) if not path.name.startswith("__")]
    configs = [dotted(path, ROOT) for path in sorted(CORE.glob("*/config.py"))]

    guilty = (
        {name: heavy for name in (*top, *configs) if (heavy := heavy_after(name)) != "[]"} if heavy_after(*top, *configs) != "[]" else {}
    )

    assert guilty == {}


def test_the_package_itself_costs_nothing() -> None:
    assert (
        heavy_after("adtoolkit", "adtoolkit.plugin", "adtoolkit.registry", "adtoolkit.mix", forbidden=(*HEAVY, "numpy", "pydantic")) == "[]"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_short(path: Path) -> None:
    """One idea per file: a longer one holds two."""
    assert len(path.read_text().splitlines()) < 350


@pytest.mark.parametrize("package", PACKAGES)
def test_plugin_module_is_short(package: str) -> None:
    assert len((PLUGINS / package / "plugin.py").read_text().splitlines()) < 60


def test_public_names_are_frozen() -> None:
    """A change here is a change of the public interface: it belongs into the changelog."""
    assert dir(adtoolkit) == [
        "AdtoolError",
        "Background",
        "Blocked",
        "Cap",
        "Component",
        "Dataset",
        "Plan",
        "Region",
        "Registry",
        "RunConfig",
        "Sample",
        "Window",
        "__version__",
        "default_registry",
        "hookimpl",
        "resolve",
    ]


def test_every_public_name_is_there() -> None:
    assert all(getattr(adtoolkit, name) is not None for name in dir(adtoolkit))
    with pytest.raises(AttributeError, match="has no attribute 'Sigma'"):
        adtoolkit.Sigma  # noqa: B018


def test_version_is_that_of_the_distribution() -> None:
    assert adtoolkit.__version__ == PYPROJECT["project"]["version"]


def test_every_plugin_package_is_shipped_and_has_an_entry_point() -> None:
    points = PYPROJECT["project"]["entry-points"]["adtoolkit"]
    shipped = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert sorted(points.values()) == [f"{package}.plugin" for package in PACKAGES]
    assert sorted(shipped) == sorted(["adtoolkit", *(f"plugins/{package}" for package in PACKAGES)])


def test_installed_entry_points_are_those_of_the_source() -> None:
    """Entry points are read from the installed metadata: after a change, ``pip install -e .`` again."""
    try:
        version("adtoolkit")
    except PackageNotFoundError:
        pytest.skip("adtoolkit is not installed, only on the path")

    installed = {entry.name: entry.value for entry in entry_points(group="adtoolkit") if entry.dist and entry.dist.name == "adtoolkit"}

    assert installed == PYPROJECT["project"]["entry-points"]["adtoolkit"]
