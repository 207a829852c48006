# syntax=docker/dockerfile:1
# Holdfast, for `holdfast api`, `worker`, `migrate` and `up`. See docs/operations.md.

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/holdfast
WORKDIR /app
# The lock first: it changes seldom, and what it installs is kept as a layer.
COPY requirements.lock ./
RUN /opt/holdfast/bin/pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md ./
COPY cli ./cli
COPY api ./api
COPY workflows ./workflows
COPY activities ./activities
COPY infra ./infra
COPY models ./models
COPY console ./console
RUN /opt/holdfast/bin/pip install --no-deps --no-build-isolation --editable . \
    && /opt/holdfast/bin/python -m compileall -q /app
# What the code of code_interpreter may import: its service has no way to a package index.
ARG HOLDFAST_SANDBOX_PACKAGES=""
RUN HOLDFAST_SANDBOX_PACKAGES_DIR=/opt/holdfast-sandbox HOLDFAST_SANDBOX_PACKAGES=$HOLDFAST_SANDBOX_PACKAGES \
    /opt/holdfast/bin/holdfast sandbox-packages

FROM python:3.13-slim
# Keeps the code of code_interpreter in its box.
RUN apt-get update && apt-get install --yes --no-install-recommends bubblewrap && rm -rf /var/lib/apt/lists/*
RUN groupadd --system --gid 10001 holdfast \
    && useradd --system --uid 10001 --gid holdfast --no-create-home --home-dir /var/lib/holdfast holdfast \
    && install --directory --owner holdfast --group holdfast --mode 0700 /var/lib/holdfast
COPY --from=build /opt/holdfast /opt/holdfast
COPY --from=build /opt/holdfast-sandbox /opt/holdfast-sandbox
COPY --from=build /app /app
ENV PATH=/opt/holdfast/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOLDFAST_DATA_DIR=/var/lib/holdfast \
    HOLDFAST_SANDBOX_PACKAGES_DIR=/opt/holdfast-sandbox
WORKDIR /var/lib/holdfast
USER holdfast
EXPOSE 8000
ENTRYPOINT ["holdfast"]
CMD ["up"]
