"""Where cases come from: one file a data set, each with a class `Dataset`."""
