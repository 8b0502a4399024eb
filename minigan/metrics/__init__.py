"""How good and how varied samples are: one file per metric, arrays in, numbers out."""
