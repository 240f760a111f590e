"""Trains the model on the breast cancer data that comes with scikit-learn and saves it."""
import sys

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(path: str) -> None:
    data = load_breast_cancer()
    train_x, test_x, train_y, test_y = train_test_split(
        data.data, data.target, test_size=0.25, random_state=0, stratify=data.target
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(train_x, train_y)
    accuracy = model.score(test_x, test_y)
    joblib.dump(
        {
            "model": model,
            "features": list(map(str, data.feature_names)),
            "labels": list(map(str, data.target_names)),
            "accuracy": accuracy,
        },
        path,
    )
    print(f"saved {path}: accuracy {accuracy:.3f} on {len(test_y)} samples kept back")


if __name__ == "__main__":
    main(sys.argv[1])
