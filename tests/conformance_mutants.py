"""Every faulty adapter, by the class of its fault, and the law that is meant to kill it."""

from __future__ import annotations

from typing import Any

from tests import (
    curve_mutants,
    gradient_mutants,
    grid_mutants,
    layer_mutants,
    mutants,
    network_mutants,
    relation_mutants,
    spline_mutants,
    test_laws_grid,
)

#: Class -> "Name law" of each mutant, by the module that has it.
_TABLE: dict[str, tuple[tuple[Any, str], ...]] = {
    "values": (
        (mutants, "NanToNum P-PoU, WrongKnot P-ORC, UniformAssumption P-GRV, LastSpanDropped P-PoU"),
        (mutants, "LeakingSupport P-SUP, Float16Knots P-REL, TermsDropped P-CRV"),
        (spline_mutants, "Raises P-REP, BothSidesClosed P-PoU, GuardedOnTheLeftOnly P-REP, AbsoluteTolerance P-POW2"),
        (spline_mutants, "DegreeZeroSmoothed P-K0, CubicTooLarge P-PoU, OneWrongKindOfKnots P-ORC"),
        (curve_mutants, "GuardedBySmallNumber P-POW2, SmallValuesDropped P-REL, LastByDifference P-REL"),
        (curve_mutants, "LookupByDivision P-ORC, LeftContinuous P-K0, PowersOfOffsets P-REL, TopDegreeByAnother P-GRV"),
        (curve_mutants, "LastByDifference P-POS"),
        (mutants, "WrongKnot P-MIR, UniformAssumption P-POLY, Float16Knots P-MAR, LastSpanDropped P-SW"),
        (mutants, "LastSpanDropped P-INT2"),
        (spline_mutants, "CubicTooLarge P-INT"),
        (relation_mutants, "KnotsOfThreeDecimals P-AFF, QuotientsSubtracted P-SHIFT, ByReciprocals P-SUBN"),
        (relation_mutants, "FirstTwoExchanged P-TP, Blurred P-COND, CoefficientsClipped P-LIN, Sharpened P-VD"),
        (network_mutants, "BaseForgotten N-ORC, ScaledTwice N-ADD, Leaky N-ZERO, SoftMask N-PRUNE"),
    ),
    "ends": (
        (mutants, "HalfOpenEnd P-END, RightContinuousEnd P-RELD"),
        (spline_mutants, "Undeclared P-RC, OpenAndSaysClosed P-END, HalfOpenNegative P-RC, MinusZero P-RELD"),
        (curve_mutants, "LeftEndOpen P-PoU, LastKnotClosed P-RELD, NearTheEnd P-POW2, EndsByIndex P-HULL"),
    ),
    "policies": (
        (mutants, "ClampedOutside P-EXT"),
        (spline_mutants, "OtherClipInDerivatives P-EXT, FadesToNothing P-EXT"),
        (curve_mutants, "SaysZero P-EXT, SaysLinear P-EXT, SlopeBesideClampedValues P-EXT"),
        (curve_mutants, "MissingOnTheRightOnly P-EXT, RaisingOnTheRightOnly P-EXT, BlindBesideNan P-EXT"),
        (spline_mutants, "OtherPeriod P-EXT, TurnedBackwards P-EXT"),
        (network_mutants, "SharedPolicy N-NET"),
        (layer_mutants, "ClampedBase N-ORC"),
        (gradient_mutants, "LineAtOnce N-ORC"),
    ),
    "derivatives": (
        (mutants, "SlopeWithoutItsDegree P-DREC, FiniteDifferences P-DCS"),
        (spline_mutants, "TermsAdded P-D0, OneLessEachTime P-RELD"),
        (curve_mutants, "SignOfThirdOrder P-RELD, LastOrderGoesOn P-DHI, SlopesFromTheLeft P-SMO"),
        (curve_mutants, "ChainRuleForgotten P-DFD, SlopesOfOneFunctionLess P-D0, SlopesOfEvenKnots P-DCS"),
    ),
    "insertion": (
        (mutants, "InsertionOffByOne P-INS, ReversedRefinement P-OSLO"),
        (curve_mutants, "AverageInserted P-INS, InsertedAtTheEnd P-INS, InsertedInSinglePrecision P-INS"),
        (curve_mutants, "CoefficientRepeated P-INS, RowsOfALittleMore P-OSLO, NearestCoefficient P-REF"),
    ),
    "fits": (
        (test_laws_grid, "NormalEquations G-LSQ, Weightless G-RANK, Weightless G-WT"),
        (grid_mutants, "SingleFitByNormalEquations G-LSQ, Ridge G-LSQ, WeightsSquared G-WT, CoarseCutoff G-LSQ"),
        (grid_mutants, "FromARandomStart G-DRV, LastSampleLost G-RANK, RepeatsAreOne G-WT, Ridge G-DUP"),
    ),
    "dtype": (
        (mutants, "HiddenDouble P-DTYPE"),
        (spline_mutants, "SinglePrecisionConstant P-REL, DoubleCurve P-DTYPE, DoubleDesign P-DTYPE"),
        (spline_mutants, "DoubleMatrix P-DTYPE"),
        (curve_mutants, "DoubleInsertion P-DTYPE, SingleSlopes P-RELD"),
        (grid_mutants, "WholeDtype G-COV, DoubleGrid G-UDTYPE, DoubleFit G-DTYPE"),
        (network_mutants, "DoubleGradients N-DTYPE, DoubleModel N-DTYPE"),
    ),
    "NaN": (
        (mutants, "NanBecomesZero P-NAN"),
        (spline_mutants, "CurveForgetsMissing P-NANC"),
        (curve_mutants, "MissingSpreads P-NANC, MissingIsTheEnd P-NAN, InfinityIsMissing P-NAN"),
        (network_mutants, "MissingBecomesZero N-NAN"),
        (gradient_mutants, "MissingSpreads N-NAN"),
    ),
    "shapes": (
        (spline_mutants, "MissingColumn P-REP"),
        (curve_mutants, "OnePointIsNoRow P-ORD, SquareTransposed P-ORD, TwoDimensionalCurve P-CRV"),
        (network_mutants, "BelongsToItsPlace N-PERM-H"),
        (layer_mutants, "NinthInput N-ORC"),
        (gradient_mutants, "OneOutputFlat N-ORC"),
    ),
    "sizes": (
        (spline_mutants, "ManyIntervals P-ORC"),
        (curve_mutants, "OneIntervalIsTwo P-GRV"),
        (layer_mutants, "LargeLogits N-GCS, RowsBeyondAThousand N-NET, FourthLayer N-NET"),
        (gradient_mutants, "OverflowingSilu N-BIG, OverflowingSoftmax N-BIG"),
    ),
    "grid updates": (
        (test_laws_grid, "AbsoluteMargin G-AFF, AbsoluteMargin G-COV, Unsorted G-COV, Unsorted G-PERM"),
        (
            test_laws_grid,
            "NotRefit G-CONST, NotRefit G-PRES, ScaledTwice G-CONST, ScaledTwice G-PRES, ShortPadding G-PAD",
        ),
        (test_laws_grid, "Tied G-MONO, Tied G-TIES, LeastNorm G-SAME, ScaledTwice G-IDEM"),
        (grid_mutants, "EfficientRanks G-BLEND, NothingFadesInHere G-CONST, MaskLost G-KEEP, BaseScaleLost G-KEEP"),
        (grid_mutants, "SecondOutputs G-PRES, NothingMoves G-COV, OutputsMixed G-PRES, FirstKnotsForAll G-QNT"),
        (grid_mutants, "PolicyLost G-KEEP"),
    ),
    "refinement": (
        (network_mutants, "FitRefinement N-REF"),
        (layer_mutants, "TripledWrong N-REF, MaskLostInRefinement N-REF"),
        (gradient_mutants, "ScaleLostInRefinement N-REF, EvenlyRefined N-REF, PolicyLostInRefinement N-REF"),
    ),
    "gradients": (
        (network_mutants, "GradientOff N-GCS, StaleBase N-GFD, TransposedCoef N-GFD, OneSidedProduct N-ADJ"),
        (network_mutants, "MeanOfMeans N-CHG"),
        (layer_mutants, "LastWriteWins N-GCS, MaskAfterwards N-GCS"),
        (gradient_mutants, "WeightsOfTheValueOnly N-GCS, NothingOutside N-GFD, ScaleCountsTwice N-GFD"),
        (gradient_mutants, "FirstLayersOnly N-ADJ"),
    ),
    "Jacobians": (
        (network_mutants, "TransposedCoef N-JAC"),
        (layer_mutants, "OtherRoot N-JAC"),
        (gradient_mutants, "FirstOutputForAll N-JAC, ThirdRow N-JAC, SquareJacobian N-JAC"),
        (gradient_mutants, "NetworkRowsInOrderOfOutputs N-JAC"),
    ),
    "files": (
        (network_mutants, "NanLost N-IO"),
        (layer_mutants, "ScaleNotSaved N-IO"),
        (gradient_mutants, "SingleFiles N-IO, PolicyNotSaved N-IO, CountedFiles N-IO, LastLayerFirst N-IO"),
    ),
    "bits": (
        (mutants, "DependsOnItsNeighbours P-ORD"),
        (spline_mutants, "SortedPoints P-ORD, OnePointAlone P-ORD"),
        (network_mutants, "DependsOnItsNeighbours N-SUB, LastOutputRounded N-PERM-O"),
        (gradient_mutants, "BlocksOfEight N-SUB"),
    ),
    "threads": (
        (network_mutants, "ReducedByThreads N-DET, ReusedBuffer N-THR"),
        (layer_mutants, "OneStatement N-THR, EightThreads N-DET"),
        (gradient_mutants, "TwoSums N-DET"),
    ),
    "hostile calls": (
        (spline_mutants, "WritesIntoPoints P-PURE, ReturnsItsInput P-INS, OneBuffer P-PURE"),
        (spline_mutants, "WritesIntoKnots P-PURE, CurveOfItsCoefficients P-PURE"),
        (test_laws_grid, "Gaps G-ERR, Gaps G-MONOX"),
        (grid_mutants, "MoreColumnsPass G-ERR, NoSampleNoChange G-ERR"),
        (network_mutants, "AliasedOutput N-PURE, ReusedBuffer N-PURE, FlatRead N-IN"),
        (layer_mutants, "Remembers N-DET"),
        (gradient_mutants, "ModelThatLearns N-PURE, BytesAsTheyLie N-IN, WritesIntoLayers N-PURE"),
    ),
}

#: Class -> each mutant with the law that is meant to kill it.
BY_CLASS: dict[str, tuple[tuple[type[Any], str], ...]] = {
    kind: tuple(
        (getattr(module, name), id)
        for module, listed in rows
        for name, id in (pair.split() for pair in listed.split(", "))
    )
    for kind, rows in _TABLE.items()
}

#: All of them.
MUTANTS = tuple(pair for pairs in BY_CLASS.values() for pair in pairs)
