"""What a proposal may change, and how it stands in the proposal's layer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pxr import Gf, Sdf, Usd
from pydantic import AfterValidator, Field, JsonValue

from stagetwin._errors import ReviewError, WireError
from stagetwin.reviews._operations import Line, Number, Part, PrimPath, is_prim_path
from stagetwin.reviews._transforms import author_transform
from stagetwin.values import stage_value

__all__ = ["Edit", "EditContext", "author_edit", "prim_of_edit"]

_NAME = re.compile(r"[A-Za-z_]\w*(:[A-Za-z_0-9]\w*)*", re.ASCII)
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_AUTHORED = re.compile(r"twin:(rule:\w+:(threshold|setpoint)|command:\w+:safe|model:\w+:param:.+)")
_VALUES = re.compile(r"twin:(telemetry:\w+:value|command:\w+:(desired|reported))")


def _property_path(text: str) -> str:
    prim, dot, name = text.partition(".")
    if not dot or not is_prim_path(prim) or not _NAME.fullmatch(name):
        raise ValueError("must be the path of a property, such as /World/P101.size")
    return text


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError("must be a word of letters, digits and _")
    return text


PropertyPath = Annotated[str, Field(max_length=1000), AfterValidator(_property_path)]
Word = Annotated[str, Field(max_length=100), AfterValidator(_word)]
Matrix = Annotated[tuple[Number, ...], Field(min_length=16, max_length=16)]


class TransformEdit(Part):
    """Another local transform."""

    kind: Literal["transform"]
    prim: PrimPath
    matrix: Matrix


class AttributeEdit(Part):
    """Another value; a type where the attribute is new."""

    kind: Literal["attribute"]
    path: PropertyPath
    value: JsonValue
    type: Annotated[str, Field(max_length=40)] = ""


class RelationshipEdit(Part):
    """Other targets."""

    kind: Literal["relationship"]
    path: PropertyPath
    targets: Annotated[tuple[Line, ...], Field(max_length=100)]


class Bounds(Part):
    """Limits of one severity."""

    minimum: Number | None = None
    maximum: Number | None = None


class LimitsEdit(Part):
    """Other limits of an attribute."""

    kind: Literal["limits"]
    path: PropertyPath
    hard: Bounds | None = None
    soft: Bounds | None = None


class VariantEdit(Part):
    """Another variant."""

    kind: Literal["variant"]
    prim: PrimPath
    set: Word
    selection: Annotated[str, Field(max_length=100, pattern=r"^[\w.|-]*$")]


class AddEdit(Part):
    """A new prim."""

    kind: Literal["add"]
    prim: PrimPath
    type: Word = "Xform"
    reference: Line = ""


class ActiveEdit(Part):
    """A prim taken out, or back in."""

    kind: Literal["remove", "restore"]
    prim: PrimPath


class ClearEdit(Part):
    """What the proposal says of a prim or property is forgotten."""

    kind: Literal["clear"]
    path: Line


Edit = Annotated[
    TransformEdit
    | AttributeEdit
    | RelationshipEdit
    | LimitsEdit
    | VariantEdit
    | AddEdit
    | ActiveEdit
    | ClearEdit,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, slots=True)
class EditContext:
    """What an edit is judged by.

    Attributes:
        stage: the plant with the proposal on top.
        driven: says what drives a property, or an empty text.
        folder: that of the site layer, below which references lie; None for no references.
    """

    stage: Usd.Stage
    driven: Callable[[str], str]
    folder: Path | None


def prim_of_edit(edit: Edit) -> str:
    """Return the path of the prim that an edit touches."""
    if isinstance(edit, AttributeEdit | RelationshipEdit | LimitsEdit | ClearEdit):
        return edit.path.partition(".")[0]
    return edit.prim


def author_edit(layer: Sdf.Layer, edit: Edit, context: EditContext) -> None:
    """Write an edit to a proposal's layer.

    Raises:
        ReviewError: the stage has no such thing, or a proposal may not hold it.
    """
    if isinstance(edit, ClearEdit):
        _forget(layer, edit.path)
        return
    where = prim_of_edit(edit)
    for reserved in ("/Review", "/StageTwin"):
        if where == reserved or where.startswith(f"{reserved}/"):
            raise ReviewError(f"{where}: what is below {reserved} is the service's own")
    if isinstance(edit, AddEdit):
        _add(layer, edit, context)
        return
    prim = context.stage.GetPrimAtPath(where)
    if not prim:
        raise ReviewError(f"there is no prim {where}")
    if prim.IsInstanceProxy() or prim.IsInPrototype():
        raise ReviewError(f"{where} lies within an instance, whose inside cannot be edited")
    if isinstance(edit, TransformEdit):
        matrix = Gf.Matrix4d(*edit.matrix)
        for name in author_transform(layer, prim, matrix):
            _refuse_driven(f"{where}.{name}", context)
    elif isinstance(edit, VariantEdit):
        known = prim.GetVariantSets().GetNames()
        if edit.set not in known:
            raise ReviewError(f"{where} has no variant set {edit.set!r}; it has {known}")
        options = prim.GetVariantSet(edit.set).GetVariantNames()
        if edit.selection not in options:
            raise ReviewError(f"{where}: {edit.set} is one of {options}, got {edit.selection!r}")
        Sdf.CreatePrimInLayer(layer, where).variantSelections[edit.set] = edit.selection
    elif isinstance(edit, ActiveEdit):
        Sdf.CreatePrimInLayer(layer, where).active = edit.kind == "restore"
    else:
        _author_property(layer, prim, edit, context)


def _author_property(
    layer: Sdf.Layer,
    prim: Usd.Prim,
    edit: AttributeEdit | RelationshipEdit | LimitsEdit,
    context: EditContext,
) -> None:
    name = edit.path.partition(".")[2]
    spec_prim = Sdf.CreatePrimInLayer(layer, prim.GetPath())
    if isinstance(edit, RelationshipEdit):
        if (attr := prim.GetAttribute(name)) and attr.IsDefined():
            raise ReviewError(f"{edit.path} is an attribute")
        for target in edit.targets:
            if not Sdf.Path.IsValidPathString(target)[0] or not target.startswith("/"):
                raise ReviewError(f"{edit.path}: a target must be a path, got {target!r:.80}")
        rel = spec_prim.relationships.get(name)
        if rel is None:
            rel = Sdf.RelationshipSpec(spec_prim, name, False, Sdf.VariabilityUniform)
        rel.targetPathList.ClearEditsAndMakeExplicit()  # none at all is an opinion too
        rel.targetPathList.explicitItems = [Sdf.Path(target) for target in edit.targets]
        return
    attr = prim.GetAttribute(name)
    known = bool(attr) and attr.IsDefined()
    if isinstance(edit, LimitsEdit):
        if not known:
            raise ReviewError(f"there is no attribute {edit.path}")
        said = {
            group: {k: v for k, v in bounds.model_dump().items() if v is not None}
            for group, bounds in (("hard", edit.hard), ("soft", edit.soft))
            if bounds is not None
        }
        _spec(spec_prim, name, attr, "").SetInfo("limits", said)
        return
    _refuse_requests(edit.path, attr if known else None)
    _refuse_driven(edit.path, context)
    if known and edit.type and edit.type != str(attr.GetTypeName()):
        raise ReviewError(f"{edit.path} is a {attr.GetTypeName()}, got {edit.type!r:.40}")
    type_name = str(attr.GetTypeName()) if known else edit.type
    if not type_name:
        raise ReviewError(f"there is no attribute {edit.path}; a new one needs its type")
    try:
        value = stage_value(type_name, edit.value)
    except WireError as error:
        raise ReviewError(f"{edit.path}: {error}") from None
    _spec(spec_prim, name, attr if known else None, type_name).default = value


def _spec(
    prim: Sdf.PrimSpec, name: str, attr: Usd.Attribute | None, type_name: str
) -> Sdf.AttributeSpec:
    """Return the attribute of a proposal's layer, declared as the plant declares it."""
    spec: Sdf.AttributeSpec | None = prim.attributes.get(name)
    if spec is not None:
        return spec
    if attr is None:
        # The stubs know Find as a method without arguments.
        kind = Sdf.ValueTypeNames.Find(type_name)  # type: ignore[call-arg]
        spec = Sdf.AttributeSpec(prim, name, kind)
        spec.custom = True
        return spec
    return Sdf.AttributeSpec(prim, name, attr.GetTypeName(), attr.GetVariability())


def _refuse_requests(path: str, attr: Usd.Attribute | None) -> None:
    """Refuse what is measured, requested, or the service's own word."""
    name = path.partition(".")[2]
    if not name.startswith("twin:"):
        return
    if _VALUES.fullmatch(name):
        raise ReviewError(f"{path}: a proposal holds no measured or requested value")
    # What varies is said while the twin runs; what the plant decides is uniform.
    uniform = attr is not None and attr.GetVariability() == Sdf.VariabilityUniform
    if not uniform and not _AUTHORED.fullmatch(name):
        raise ReviewError(f"{path}: a proposal holds nothing that is said while the twin runs")


def _refuse_driven(path: str, context: EditContext) -> None:
    if driver := context.driven(path):
        raise ReviewError(f"{path} is driven by {driver}: a proposal cannot hold it")


def _add(layer: Sdf.Layer, edit: AddEdit, context: EditContext) -> None:
    if context.stage.GetPrimAtPath(edit.prim):
        raise ReviewError(f"{edit.prim} is there already")
    parent = edit.prim.rpartition("/")[0]
    above = context.stage.GetPrimAtPath(parent) if parent else context.stage.GetPseudoRoot()
    if not above:
        raise ReviewError(f"{edit.prim}: there is no prim {parent} to put it in")
    if above.IsInstance() or above.IsInstanceProxy():
        raise ReviewError(f"{edit.prim} would lie within an instance")
    if not Usd.SchemaRegistry.IsConcrete(edit.type):
        raise ReviewError(f"{edit.prim}: there is no type of prim {edit.type!r:.80}")
    if edit.type == "TwinConnection":
        raise ReviewError(f"{edit.prim}: a connection is not a matter of layout")
    spec = Sdf.CreatePrimInLayer(layer, edit.prim)
    spec.specifier = Sdf.SpecifierDef
    spec.typeName = edit.type
    if edit.reference:
        asset = _reference(edit.reference, context.folder)
        spec.referenceList.explicitItems = [Sdf.Reference(asset)]


def _reference(text: str, folder: Path | None) -> str:
    """Return a reference that leads nowhere but below the site layer's folder."""
    if folder is None:
        raise ReviewError("reference: nothing can be referenced without --site-layer")
    pure = PurePosixPath(text)
    plain = re.fullmatch(r"[\w./ -]+", text, re.ASCII) and not pure.is_absolute()
    if not plain or ".." in pure.parts or pure.suffix not in (".usd", ".usda", ".usdc", ".usdz"):
        raise ReviewError(
            f"reference: must be a USD file below the site layer's folder, got {text!r:.80}"
        )
    path = folder / pure
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise ReviewError(f"reference: there is no file {text!r:.80} below the site's folder")
    return f"./{pure}"


def _forget(layer: Sdf.Layer, path: str) -> None:
    prim, dot, name = path.partition(".")
    if not is_prim_path(prim) or (dot and not _NAME.fullmatch(name)):
        raise ReviewError(f"path: must be that of a prim or property, got {path!r:.80}")
    spec = layer.GetPrimAtPath(prim)
    if dot:
        if not spec or name not in spec.properties:
            raise ReviewError(f"the proposal says nothing of {path}")
        spec.RemoveProperty(spec.properties[name])
    else:
        if not spec:
            raise ReviewError(f"the proposal says nothing of {path}")
        parent: Any = spec.nameParent or layer.pseudoRoot  # the stubs lack deletion
        del parent.nameChildren[spec.name]
