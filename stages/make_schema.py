"""Generate what follows from stages/stagetwin/schema/schema.usda.

Written are generatedSchema.usda and plugInfo.json beside it, which make that folder a USD plugin,
and docs/schema.md, the reference that people read. usdGenSchema does the generating; it keeps only
the first sentence of each doc string, so the whole text is put back here, and with it the schema
registry, usdview and Kit show the unit, range and default of every attribute.
"""

from __future__ import annotations

import argparse
import difflib
import html
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import Any

from pxr import Sdf

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCHEMA_FOLDER = ROOT / "stages" / "stagetwin" / "schema"
REFERENCE = ROOT / "docs" / "schema.md"

INSTANCE = "__INSTANCE_NAME__"
PLUG_INFO = {
    "@PLUG_INFO_LIBRARY_PATH@": "",
    "@PLUG_INFO_RESOURCE_PATH@": ".",
    "@PLUG_INFO_ROOT@": ".",
}
KINDS = {
    "singleApply": "Applied once to a prim.",
    "multipleApply": "Applied any number of times; the instance name `{placeholder}` is yours.",
}
PLACEHOLDERS = {
    "twin:telemetry": "<signal>",
    "twin:command": "<name>",
    "twin:model": "<name>",
    "twin:rule": "<name>",
    "twin:alarm": "<name>",
}
REFERENCE_HEAD = """\
# Schema reference

<!-- Generated from stages/stagetwin/schema/schema.usda by `make schema`: do not edit. -->

The schema is codeless: no compiled plugin, only the folder `stagetwin/schema`. `import stagetwin`
registers it; usdview, Kit and any other USD program show it when that folder is named on
`PXR_PLUGINPATH_NAME`. A stage opens without it too; USD then does not know the defaults below.

USD checks neither allowed tokens nor ranges when a value is set; `stagetwin check` does.
A *uniform* attribute describes the plant and is authored. A *varying* one is written by the running
service, in a layer of its own.

## What an asset authors itself

These names belong to the instance's namespace, and the schema leaves them out on purpose: each
asset authors them with the type that its signal has and with USD attribute limits of its own. A
built-in `double value` would turn an asset's bool or matrix into a double without a word.

| Attribute | On | Written by | Meaning |
|---|---|---|---|
| `twin:telemetry:<signal>:value` | telemetry | service, layer `live` | \
newest value, in the signal's `unit` |
| `twin:telemetry:<signal>:predicted` | telemetry | service, layer `predicted` | \
what a model expects of the same signal, same type and unit |
| `twin:command:<name>:desired` | command | service, layer `desired` | \
setpoint that was asked for, in the command's `unit` |
| `twin:command:<name>:reported` | command | service, layer `live` | \
setpoint that the device says it holds, same type and unit |
| `twin:command:<name>:safe` | command | the asset | \
value that is safe to fall back to, same type and unit |
| `twin:rule:<name>:threshold` | rule | the asset | \
what the signal is compared with, same type and unit as the signal |
| `twin:rule:<name>:setpoint` | rule | the asset | \
what the command is given, same type and unit as the command |
| `twin:alarm:<name>:value` | alarm | the asset | \
what the signal of a `device` is compared with, same type as the signal |
| `twin:model:<name>:param:<parameter>` | model | the asset | \
parameter of the model, a number, with limits, and its unit in `customData["unit"]` |
| `twin:model:<name>:out:<port>` | model | service, layer `predicted` | \
what a model gives and no signal measures, in the kind's unit |
| `twin:var:<name>` | any prim | the asset or the site | \
text for `{twin:var:<name>}` in the address templates of this prim and of what lies below it |
"""


class SchemaSourceError(Exception):
    """schema.usda says something that it must not; the message names the attribute."""


def _documented(spec: Sdf.PropertySpec) -> tuple[str, str]:
    """Split a doc string into its meaning (with unit and range) and the text after `Default:`."""
    meaning, _, default = spec.documentation.partition("Default: ")
    return meaning.strip(), default.strip().removesuffix(".")


def _literal(value: Any) -> str:
    """Return a default as a reader would write it; empty strings and arrays are `empty`."""
    if value is None:
        return "none"
    if isinstance(value, (int, float)):
        return f"{value:g}"
    return str(value) if len(value) else "empty"


def check_source(source: Sdf.Layer) -> None:
    """Check what usdGenSchema does not: documentation, its stated defaults, and no limits.

    Raises:
        SchemaSourceError: an attribute is undocumented, has limits, or says another default than
            it has.
    """
    for prim in source.rootPrims:
        if prim.specifier != Sdf.SpecifierClass:
            continue
        for spec in prim.properties:
            if not spec.documentation:
                raise SchemaSourceError(f"{spec.path}: has no doc string")
            if spec.HasInfo("limits"):
                raise SchemaSourceError(f"{spec.path}: limits are the asset's, not the schema's")
            stated = re.split(r"[,;] ", _documented(spec)[1])[0]
            actual = _literal(spec.default if isinstance(spec, Sdf.AttributeSpec) else None)
            if stated and stated != actual:
                raise SchemaSourceError(
                    f"{spec.path}: the doc string says default {stated!r}, the schema {actual!r}"
                )


def _generate(source: pathlib.Path, folder: pathlib.Path) -> None:
    """Run usdGenSchema, without any plugin folder of ours in its way."""
    environment = {k: v for k, v in os.environ.items() if k != "PXR_PLUGINPATH_NAME"}
    done = subprocess.run(
        [sys.executable, "-m", "pxr.Usd.usdGenSchema", str(source), str(folder)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise SchemaSourceError(f"usdGenSchema refused {source}:\n{done.stdout}{done.stderr}")


def _generated_schema(source: Sdf.Layer, generated: Sdf.Layer) -> str:
    """Return usdGenSchema's layer with the full documentation in place of its excerpts."""
    generated.comment = "Generated from schema.usda by `make schema`: do not edit."
    for prim in generated.rootPrims:
        original = source.GetPrimAtPath(prim.path)
        specs: list[tuple[Sdf.Spec, Sdf.Spec]] = [(prim, original)]
        for spec in prim.properties:
            name = spec.name.partition(f"{INSTANCE}:")[2] or spec.name
            specs.append((spec, original.properties[name]))
        for spec, documented in specs:
            spec.SetInfo("documentation", documented.GetInfo("documentation"))
            custom = dict(spec.GetInfo("customData"))
            custom.pop("userDocBrief", None)
            if custom:
                spec.SetInfo("customData", custom)
            else:
                spec.ClearInfo("customData")
    text: str = generated.ExportToString()
    return text.rstrip("\n") + "\n"


def _plug_info(text: str) -> str:
    """Return plugInfo.json with its placeholders filled in, as plain JSON."""
    for placeholder, value in PLUG_INFO.items():
        text = text.replace(placeholder, value)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return json.dumps(json.loads(body), indent=4) + "\n"


def _prose(text: str) -> str:
    """Escape Markdown's specials outside of code spans, and the cell border everywhere."""
    parts = text.replace("|", "\\|").split("`")
    parts[::2] = [html.escape(part, quote=False) for part in parts[::2]]
    return "`".join(parts)


def _row(spec: Sdf.PropertySpec) -> str:
    meaning, default = _documented(spec)
    if isinstance(spec, Sdf.AttributeSpec):
        kind = str(spec.typeName)
        uniform = spec.variability == Sdf.VariabilityUniform
        variability = "uniform" if uniform else "varying"
        default = default or _literal(spec.default)
        tokens = spec.GetInfo("allowedTokens")
        if tokens:
            meaning += " Allowed: " + ", ".join(f"`{token}`" for token in tokens) + "."
    else:
        kind, variability = "rel", "uniform"
    cells = [f"`{spec.name}`", kind, variability, _prose(default), _prose(meaning)]
    return "| " + " | ".join(cells) + " |"


def _section(prim: Sdf.PrimSpec) -> list[str]:
    """Return the reference of one schema."""
    applied = prim.customData.get("apiSchemaType", "")
    namespace = prim.customData.get("propertyNamespacePrefix", "")
    placeholder = PLACEHOLDERS.get(namespace, "")
    how = KINDS.get(applied, "A typed prim.").format(placeholder=placeholder)
    title = f"{prim.name}:{placeholder}" if placeholder else prim.name
    lines = ["", f"## `{title}`", "", f"{how} {_prose(prim.documentation)}", ""]
    if namespace:
        lines += [f"Every name below follows `{namespace}:{placeholder}:`.", ""]
    lines += ["| Attribute | Type | Variability | Default | Meaning, unit and range |"]
    lines += ["|---|---|---|---|---|"]
    return lines + [_row(spec) for spec in prim.properties]


def _reference(source: Sdf.Layer) -> str:
    """Return docs/schema.md, in the order of schema.usda."""
    lines = [REFERENCE_HEAD.rstrip("\n")]
    for prim in source.rootPrims:
        if prim.specifier == Sdf.SpecifierClass:
            lines += _section(prim)
    return "\n".join(lines) + "\n"


def make(source_path: pathlib.Path) -> dict[pathlib.Path, str]:
    """Return the text of every generated file by its path.

    Raises:
        SchemaSourceError: the source is not a schema, or breaks a rule of `check_source`.
    """
    source = Sdf.Layer.FindOrOpen(str(source_path))
    check_source(source)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        _generate(source_path, scratch)
        generated = Sdf.Layer.OpenAsAnonymous(str(scratch / "generatedSchema.usda"))
        plug_info = (scratch / "plugInfo.json").read_text(encoding="utf-8")
    return {
        SCHEMA_FOLDER / "generatedSchema.usda": _generated_schema(source, generated),
        SCHEMA_FOLDER / "plugInfo.json": _plug_info(plug_info),
        REFERENCE: _reference(source),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the generated files, or with `--check` say how they differ; 1 if they do."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if files differ")
    check = parser.parse_args(arguments).check
    try:
        files = make(SCHEMA_FOLDER / "schema.usda")
    except SchemaSourceError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    stale = False
    for path, text in files.items():
        name = str(path.relative_to(ROOT))
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == text:
            continue
        stale = True
        if check:
            before, after = old.splitlines(keepends=True), text.splitlines(keepends=True)
            sys.stdout.writelines(difflib.unified_diff(before, after, name, f"{name} (made anew)"))
        else:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")
    if check and stale:
        sys.stderr.write("the schema's files are not what schema.usda makes: run `make schema`\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
