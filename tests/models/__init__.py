"""Reference models: small second opinions on what a run comes to, and the fuzz that asks for them.

A model is written from the rules in `docs/` and takes nothing from the product but value types. A
module of this package is a model when it has

* ``draw(seed) -> case``: a scenario as plain data (text, numbers, lists, mappings), so that its
  ``repr`` is code; one seed, one case;
* ``expect(case) -> outcome``: what must come of it, by the model alone; raises `Unclear` where the
  rules leave it open;
* ``play(case) -> outcome``: what the product makes of it, in the same words;
* ``smaller(case)``: simpler cases, the most promising first.

An outcome is plain data too. `tests.models.fuzz` knows the models by name and compares.
"""
