# The steps of .ci/run, one by one, in the environment that is active now.
.PHONY: lint types test slow docs ci
lint:
	ruff check . && ruff format --check .
types:
	mypy
test:
	pytest -n 2
slow:
	pytest -m slow
docs:
	python -m sphinx -W --keep-going -b html docs docs/_build/html
ci:
	.ci/run
