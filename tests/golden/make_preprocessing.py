"""Write preprocessing.npz: the penguins as scikit-learn's imputers, scalers and one-hot encoder prepare them.

Run in the repository's root, with pandas and scikit-learn: python tests/golden/make_preprocessing.py
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
COLUMNS = ["island", *NUMBERS, "sex", "year"]

data = pd.read_csv("data/penguins.csv")[COLUMNS].astype({"year": str})
data["sex"] = data["sex"].fillna("missing")
train = data[data.index % 3 != 0]

arrays = {}
for scale, scaler in {"standard": StandardScaler(), "minmax": MinMaxScaler()}.items():
    for impute in ("median", "mean"):
        numbers = make_pipeline(SimpleImputer(strategy=impute), scaler)
        pipeline = make_column_transformer(
            (OneHotEncoder(sparse_output=False), ["island"]),
            (numbers, NUMBERS),
            (OneHotEncoder(categories=[["female", "male", "missing"]], sparse_output=False), ["sex"]),
            (OneHotEncoder(sparse_output=False), ["year"]),
        )
        arrays[f"{scale} {impute}"] = pipeline.fit(train).transform(data)
encoded = {"island": ["Biscoe", "Dream", "Torgersen"], "sex": ["female", "male", "missing"], "year": [2007, 2008, 2009]}
names = [name for c in COLUMNS for name in ([f"{c}={value}" for value in encoded[c]] if c in encoded else [c])]
np.savez_compressed(Path(__file__).with_name("preprocessing.npz"), names=np.array(names), **arrays)
