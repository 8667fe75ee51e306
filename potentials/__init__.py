"""Machine-learning interatomic potentials that read a structure as a density: the Python side of the pipeline.

The sub-packages stand in the order in which data flows, and each imports only from those before it:

    units -> neighbours -> structures -> density -> invariants (soap) -> pair -> regressors -> fit -> workflows

and the commands on top.
"""

__version__ = "0.1.0"
