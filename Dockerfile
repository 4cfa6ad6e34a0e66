# The image for production: `docker build --tag jobs .`
# With extras: `docker build --tag jobs --build-arg EXTRAS="redis s3 pdf" .`

FROM python:3.13-slim-bookworm AS build
ARG EXTRAS=""
WORKDIR /build
COPY requirements/ requirements/
# Wheels only, each with the hash that its lock names: nothing is compiled, so no compiler is needed.
RUN python -m venv --without-pip /venv \
    && for lock in runtime $EXTRAS; do set -- "$@" --requirement "requirements/$lock.txt"; done \
    && pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: "$@"

FROM python:3.13-slim-bookworm
ENV APP_ENV=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    PATH="/venv/bin:$PATH" \
    PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin app
WORKDIR /app
COPY --from=build /venv /venv
# The code belongs to root, so a compromised process cannot change it.
COPY . .
RUN python -m compileall -q app migrations gunicorn.conf.py wsgi.py \
    && rm -r requirements \
    && install --directory --owner app instance
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["gunicorn", "-c", "gunicorn.conf.py"]
