"""Imputation by well-kept packages: reads {x, mask} as JSON, prints mean squared errors at missing places."""
import json
import sys

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import BayesianRidge

given = json.load(sys.stdin)
truth, mask = np.array(given["x"]), np.array(given["mask"])
holes = np.where(mask == 1, truth, np.nan)
forest = RandomForestRegressor(n_estimators=50, max_features="sqrt", n_jobs=1, random_state=0)
imputers = {
    "k nearest neighbours": KNNImputer(n_neighbors=5),
    "iterative ridge (MICE)": IterativeImputer(BayesianRidge(), max_iter=30, random_state=0),
    "random forest (missForest)": IterativeImputer(forest, max_iter=5, random_state=0, tol=1e-2),
}
out = {}
for name, imputer in imputers.items():
    filled = imputer.fit_transform(holes)
    out[name] = float(((filled - truth)[mask == 0] ** 2).mean())
print(json.dumps(out))
