# The image of web and worker. Dependencies first, so that a change of the code does not fetch them again.
# Another one, or this one by its digest: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE} AS dependencies
# Without pip and setuptools, which nobody needs once all is installed: a third of the size.
RUN python -m venv --without-pip /venv
COPY requirements.txt .
RUN python -m pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin verifier
COPY --from=dependencies /venv /venv
WORKDIR /app
COPY wsgi.py gunicorn.conf.py ./
COPY sentinel sentinel
COPY verifier verifier
COPY workers workers
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER verifier
EXPOSE 8000
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "wsgi:app"]
