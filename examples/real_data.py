"""Real data: the progress of diabetes in 442 patients, from a data frame with a category and gaps.

Cross-validation holds numkan's estimator beside gradient boosting, which takes the same frame. Then we draw curves.

Run ``python examples/real_data.py [figure]``; the figure is real_data.png in the working directory by default.
"""

import sys

import matplotlib

matplotlib.use("Agg")  # draw into a file, with no display

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_score

from numkan.sklearn import KANRegressor


def patients():
    """Return ten measurements of each patient, one cell in ten of two columns missing, and the progress in a year."""
    x, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    x["sex"] = pd.Categorical(x["sex"].map({1.0: "female", 2.0: "male"}))
    rng = np.random.default_rng(0)
    for column in ("bmi", "bp"):
        x.loc[rng.random(len(x)) < 0.1, column] = np.nan
    return x, y


def compare(x, y):
    """Print R2 over five shuffled folds, and return its means."""
    means = {}
    for name, model in (
        ("KANRegressor", KANRegressor()),
        ("HistGradientBoostingRegressor", HistGradientBoostingRegressor(random_state=0)),
    ):
        # Categories and gaps go in as they are. All choices are made inside each fold, from its training rows alone.
        scores = cross_val_score(model, x, y, cv=KFold(5, shuffle=True, random_state=0))
        means[name] = scores.mean()
        print(f"    {name:30} {scores.mean():.3f}   ({' '.join(f'{score:.2f}' for score in scores)})")
    return means


def draw_effects(model, x, axes):
    """Draw what the prediction does along each of the columns that matter most, all others as they are."""
    order = np.argsort(-model.feature_importances_)
    for ax, place in zip(axes, order, strict=False):
        name, changed = x.columns[place], x.copy()
        is_number = x[name].dtype.kind == "f"
        values = np.linspace(*x[name].quantile([0.02, 0.98]), 40) if is_number else x[name].cat.categories
        effect = []
        for value in values:
            changed[name] = value if is_number else pd.Categorical([value] * len(x), x[name].cat.categories)
            effect.append(model.predict(changed).mean())
        ax.plot(values, effect, "-" if is_number else "o", color="#c0392b")
        ax.set_xlabel(f"{name} ({model.feature_importances_[place]:.0%})")
    axes[0].set_ylabel("progress of the disease")


def main(figure="real_data.png"):
    x, y = patients()
    gaps = int(x.isna().sum().sum())
    print(f"{len(x)} patients, {x.shape[1]} columns, one of them a category, {gaps} gaps; R2 over five shuffled folds")
    means = compare(x, y)

    model = KANRegressor().fit(x, y)
    for network, weight in zip(model.models_, model.weights_, strict=True):
        print(f"    weight {weight:.2f}: {network}")
    best = sorted(zip(model.feature_importances_, x.columns, strict=True), reverse=True)[:3]
    print("what matters most:", ", ".join(f"{name} {share:.0%}" for share, name in best))

    fig, axes = plt.subplots(1, 4, figsize=(11, 2.8), sharey=True, layout="constrained")
    draw_effects(model, x, axes)
    fig.savefig(figure, dpi=120)
    plt.close(fig)
    print("figure:", figure)

    assert means["KANRegressor"] > means["HistGradientBoostingRegressor"], means


if __name__ == "__main__":
    main(*sys.argv[1:2])
