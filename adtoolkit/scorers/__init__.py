"""Scorers of the core, and the parts that scorers of plugins are made of. Public: plugins may import from here.

`adtoolkit.scorers.contrast.contrast` trains a classifier between two samples and is all that most weakly supervised scorers need;
`adtoolkit.scorers.hgb` and `adtoolkit.nn.classifier` are the classifiers behind it; `adtoolkit.scorers.config` holds their options.
"""
