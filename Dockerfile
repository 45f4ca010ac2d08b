# The image of a guard that runs inside the cluster of its stack:
#
#   docker build --tag registry.example/infometis:0.1.0 .
#   infometis guard --render --image registry.example/infometis:0.1.0 | kubectl apply --filename -
#
# It holds the SDK alone: what is desired comes from the Releases in the cluster.
FROM python:3.13-slim AS build
COPY pyproject.toml README.md LICENSE /sdk/
COPY src /sdk/src
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --no-compile /sdk

FROM python:3.13-slim
COPY --from=build /venv /venv
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["/venv/bin/infometis"]
CMD ["--help"]
