"""Sixteen float32 values that numba handles as one: the explicit SIMD of the kernels.

Compilers seldom vectorise loops with masks, exponentials and many arrays, so the kernels compute with Lanes:
a numba type that LLVM sees as `<16 x float>` and maps to the registers of the machine at hand (one of
AVX-512, two of AVX2, four of SSE or NEON). In compiled code, Lanes know `+ - * / += > >=`, with each other
and with scalars, and the functions below. A comparison gives a mask, for `where` and `any_lane`.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

WIDTH = 16
BLOCK_COLUMNS, BLOCK_ROWS = 8, 2  # the pixels that one Lanes stands for in a picture
_FLOATS = ir.VectorType(ir.FloatType(), WIDTH)
_BITS = ir.VectorType(ir.IntType(32), WIDTH)
_BOOLS = ir.VectorType(ir.IntType(1), WIDTH)
_FLAGS = ("contract", "nsz")  # a * b + c may become one instruction; the order of sums stays as written


class LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"float32x{WIDTH}")


class MaskType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"boolx{WIDTH}")


lanes = LanesType()
mask = MaskType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: types.Type) -> None:
        super().__init__(manager, numba_type, _FLOATS)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: types.Type) -> None:
        super().__init__(manager, numba_type, _BOOLS)


def _splat(builder: ir.IRBuilder, scalar: ir.Value) -> ir.Value:
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_BITS, None))


def _vector(context: Any, builder: ir.IRBuilder, value: ir.Value, numba_type: types.Type) -> ir.Value:
    """`value` as Lanes; a scalar is copied into all of them."""
    if numba_type == lanes:
        return value
    return _splat(builder, context.cast(builder, value, numba_type, types.float32))


def _constant(values: list[float]) -> ir.Constant:
    return ir.Constant(_FLOATS, [ir.Constant(ir.FloatType(), value) for value in values])


def _is_lanes_or_number(numba_type: types.Type) -> bool:
    return numba_type == lanes or isinstance(numba_type, types.Number)


def _define_operator(symbol: Callable, emit: Callable[..., ir.Value], result: types.Type) -> None:
    @type_callable(symbol)
    def type_it(context: Any) -> Callable:
        def typer(a: types.Type, b: types.Type) -> types.Type | None:
            known = _is_lanes_or_number(a) and _is_lanes_or_number(b) and lanes in (a, b)
            return result if known else None

        return typer

    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return emit(builder, *(_vector(context, builder, *pair) for pair in zip(args, sig.args, strict=True)))

    for a, b in ((lanes, lanes), (lanes, types.Number), (types.Number, lanes)):
        lower_builtin(symbol, a, b)(lower)


for _plus in (operator.add, operator.iadd):
    _define_operator(_plus, lambda builder, a, b: builder.fadd(a, b, flags=_FLAGS), lanes)
_define_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=_FLAGS), lanes)
_define_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=_FLAGS), lanes)
_define_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b, flags=_FLAGS), lanes)
_define_operator(operator.gt, lambda builder, a, b: builder.fcmp_ordered(">", a, b), mask)
_define_operator(operator.ge, lambda builder, a, b: builder.fcmp_ordered(">=", a, b), mask)


@intrinsic
def spread(typingctx: Any, scalar: types.Type) -> Any:
    """The scalar in every lane."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return _vector(context, builder, args[0], sig.args[0])

    return lanes(scalar), codegen


@intrinsic
def lane_columns(typingctx: Any) -> Any:
    """Which column of a block each lane is: 0 ... 7, 0 ... 7."""
    columns = _constant([float(lane % BLOCK_COLUMNS) for lane in range(WIDTH)])
    return lanes(), lambda context, builder, sig, args: columns


@intrinsic
def lane_rows(typingctx: Any) -> Any:
    """Which row of a block each lane is: eight times 0, eight times 1."""
    rows = _constant([float(lane // BLOCK_COLUMNS) for lane in range(WIDTH)])
    return lanes(), lambda context, builder, sig, args: rows


def _address(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
    array = context.make_array(sig.args[0])(context, builder, args[0])
    item = builder.gep(array.data, [context.cast(builder, args[1], sig.args[1], types.intp)])
    return builder.bitcast(item, _FLOATS.as_pointer())


@intrinsic
def load(typingctx: Any, array: types.Type, index: types.Type) -> Any:
    """array[index : index + WIDTH] of a contiguous one-dimensional float32 array; bounds are the caller's."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return builder.load(_address(context, builder, sig, args), align=4)

    return lanes(array, index), codegen


@intrinsic
def store(typingctx: Any, array: types.Type, index: types.Type, value: types.Type) -> Any:
    """array[index : index + WIDTH] = value; see `load`."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        builder.store(args[2], _address(context, builder, sig, args), align=4)
        return context.get_dummy_value()

    return types.void(array, index, value), codegen


@intrinsic
def where(typingctx: Any, condition: types.Type, a: types.Type, b: types.Type) -> Any:
    """Per lane: a where the condition holds, else b. Both may be scalars."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        chosen, other = (_vector(context, builder, args[i], sig.args[i]) for i in (1, 2))
        return builder.select(args[0], chosen, other)

    return lanes(condition, a, b), codegen


@intrinsic
def any_lane(typingctx: Any, condition: types.Type) -> Any:
    """Whether the condition holds in some lane."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        bits = builder.bitcast(args[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(condition), codegen


@intrinsic
def total(typingctx: Any, value: types.Type) -> Any:
    """The sum over the lanes, always in the same order: halves onto each other."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        (rest,) = args
        half = WIDTH // 2
        while half:
            parts = [
                builder.shuffle_vector(rest, ir.Constant(rest.type, ir.Undefined), _indices(start, half))
                for start in (0, half)
            ]
            rest = builder.fadd(*parts)
            half //= 2
        return builder.extract_element(rest, ir.Constant(ir.IntType(32), 0))

    return types.float32(value), codegen


def _indices(start: int, count: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(start, start + count)))


@intrinsic
def root(typingctx: Any, value: types.Type) -> Any:
    """The square root of each lane."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        signature = ir.FunctionType(_FLOATS, [_FLOATS])
        name = f"llvm.sqrt.v{WIDTH}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), args)

    return lanes(value), codegen


# 2^f for f in [-1/2, 1/2]: the polynomial of least relative error (9e-8) among those with 2^0 = 1.
_EXP2 = (1.0, 0.6931470037, 0.2402224243, 0.0555073395, 0.0096715130, 0.0013264720)
_ROUNDER = 1.5 * 2.0**23  # adding it leaves the nearest integer in the lowest bits of a float32


@intrinsic
def exp2(typingctx: Any, exponent: types.Type) -> Any:
    """2 to the power of each lane, for exponents in [-126, 127]."""

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        rounder = _constant([_ROUNDER] * WIDTH)
        shifted = builder.fadd(args[0], rounder)
        fraction = builder.fsub(args[0], builder.fsub(shifted, rounder))
        power = _constant([_EXP2[-1]] * WIDTH)
        for coefficient in reversed(_EXP2[:-1]):
            power = builder.fmul(power, fraction, flags=_FLAGS)
            power = builder.fadd(power, _constant([coefficient] * WIDTH), flags=_FLAGS)
        whole = builder.shl(builder.bitcast(shifted, _BITS), ir.Constant(_BITS, [23] * WIDTH))
        return builder.bitcast(builder.add(whole, builder.bitcast(power, _BITS)), _FLOATS)

    return lanes(exponent), codegen
