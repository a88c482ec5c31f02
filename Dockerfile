# One image for the five services and the set-up steps: the command says which, `python -m services.writer`.
# The last stage is the one that `docker build .` makes; `--target stand-in` makes the model that writes samples.

# The version that the tests run with.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS packages
COPY requirements/services.lock /
# Behind a proxy of packages: docker build --secret id=pip,src=<your pip.conf> .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --quiet --no-cache-dir --only-binary :all: --require-hashes -r /services.lock

FROM python:${PYTHON} AS base
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin pressroom
COPY --from=packages /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY contracts contracts
COPY chassis chassis

FROM base AS stand-in
COPY local/__init__.py local/
COPY local/standin local/standin
USER 10001:10001
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-m", "chassis.probe", "http://127.0.0.1:8001/health"]
CMD ["python", "-m", "local.standin", "--host", "0.0.0.0", "--port", "8001"]

FROM base AS services
COPY services services
COPY deploy/__init__.py deploy/roles.py deploy/bucket.py deploy/
# A start needs not compile anything, and could not write it down either.
RUN python -m compileall -q contracts chassis services deploy
# A volume that is mounted there for the first time takes over whose it is.
RUN install --directory --mode 700 --owner 10001 --group 10001 /answers
ENV PRESSROOM_HEALTH_PORT=8001
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-m", "chassis.probe"]
CMD ["python", "-m", "services.gateway"]
