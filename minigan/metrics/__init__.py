"""How good and how varied samples are: one file per metric, arrays in, numbers out.

`real` and `fake` are features (N,F) and (M,F) of any float dtype, of real items and of samples; what makes features of
pictures (evaluate/features.py) is not a metric's business. Everything is computed in float64 by NumPy, SciPy and
scikit-learn (the extra `eval`). Arrays of other shapes, with too few rows or with numbers that are not finite raise
ValueError. What is drawn at random is drawn by the `seed` that is passed.
"""
