"""Real data: handwritten digits and the progress of diabetes, from scikit-learn, judged on data held out.

Run ``python examples/real_data.py [figure]``; the figure is real_data.png in the working directory by default.
"""

import sys

import matplotlib

matplotlib.use("Agg")  # draw into a file, with no display

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from numkan import KAN
from numkan.plot import plot_history, plot_network


def digits():
    """Tell ten digits apart by 64 pixels; return the fit and the share of a held-out third that is right."""
    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=1 / 3, stratify=y, random_state=0)
    # Labels are integers and the loss is cross-entropy; the ten outputs are logits. Pixels stay as they are, 0 to 16:
    # the grids are laid over the data. A pixel brighter than in any training image counts as the brightest ("clamp").
    # Many inputs and few samples: small steps on mini-batches (Adam) lead to smooth curves, which do well on images
    # not seen. Width, steps and batches were chosen by splitting the training part again, never by the part held out.
    model = KAN([64, 64, 10], grid=3, init="power", extrapolate="clamp", seed=0, dtype=np.float32)
    result = model.fit(
        x_train,
        y_train,
        loss="cross_entropy",
        method="adam",
        steps=1000,
        batch_size=64,
        learning_rate=0.003,
        grids=None,
    )
    accuracy = np.mean(model(x_test).argmax(axis=1) == y_test)
    print(f"digits: {len(x_train)} images to learn from in {result.seconds:.1f} s, {len(x_test)} held out")
    print(f"    accuracy on those held out   {accuracy:.1%}")
    return result, accuracy


def diabetes():
    """Predict the progress of a disease by ten measurements; return a model and both scores over five folds."""
    x, y = load_diabetes(return_X_y=True)

    def ridge(x_train, y_train):
        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))).fit(x_train, y_train).predict

    def kan(x_train, y_train):
        # 442 noisy samples carry little. One quadratic for each measurement (one interval, degree 2), summed, is as
        # much as they can tell: a generalised additive model, whose curves can be read.
        model = KAN([10, 1], grid=1, k=2, seed=0)
        model.fit(x_train, y_train, grids=None)
        return model

    scores = {"KAN": [], "ridge": []}
    for train, test in KFold(5, shuffle=True, random_state=0).split(x):
        for name, fit in (("KAN", kan), ("ridge", ridge)):
            scores[name].append(r2_score(y[test], fit(x[train], y[train])(x[test])))
    print(f"diabetes: {len(x)} patients, R2 over five shuffled folds")
    for name, label in (("KAN", "KAN"), ("ridge", "StandardScaler + RidgeCV")):
        print(f"    {label:28} {np.mean(scores[name]):.3f}   ({' '.join(f'{score:.2f}' for score in scores[name])})")
    return kan(x, y), np.mean(scores["KAN"]), np.mean(scores["ridge"])


def main(figure="real_data.png"):
    result, accuracy = digits()
    model, kan_score, ridge_score = diabetes()

    fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained", width_ratios=[1.6, 1])
    data = load_diabetes()
    plot_network(model, data.data, ax=left, inputs=data.feature_names, outputs=["progress of diabetes"])
    left.set_title("diabetes: one curve a measurement", fontsize="medium")
    plot_history(result, ax=right)
    right.set_title("digits: loss by step", fontsize="medium")
    fig.savefig(figure, dpi=120)
    plt.close(fig)
    print("figure:", figure)

    assert accuracy >= 0.96, accuracy
    assert kan_score >= ridge_score - 0.02, (kan_score, ridge_score)


if __name__ == "__main__":
    main(*sys.argv[1:2])
