# The image of web and worker. Dependencies first, so that a change of the code does not fetch them again.
FROM python:3.11-slim-bookworm AS dependencies
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

FROM python:3.11-slim-bookworm
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
