# The image of lbg: docs/deployment.md says how to run it.
#
# Any base will do that has python3 (3.11 or newer) with venv, and root in the build.
ARG BASE=docker.io/library/python:3.12-slim

FROM ${BASE} AS build
ARG EXTRAS=brotli,zstd
COPY pyproject.toml README.md LICENSE /src/
COPY lbg /src/lbg
# A pip.conf for an index of your own is a secret of the build, so that no layer keeps its password:
# --secret id=pip.conf,src=pip.conf
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python3 -m venv /tmp/installer \
    && python3 -m venv --without-pip /opt/lbg \
    && /tmp/installer/bin/pip --python /opt/lbg/bin/python install \
        --no-cache-dir --disable-pip-version-check "/src[${EXTRAS}]"

FROM ${BASE}
COPY --from=build /opt/lbg /opt/lbg
ENV PATH=/opt/lbg/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# lbg.toml is read here if there is one, else LBG_ENDPOINTS; LBG_CONFIG would insist on a file.
WORKDIR /etc/lbg
# A number, because Kubernetes cannot tell of a name that it is not root.
USER 10001:10001
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
# It asks the admin listener where the configuration says it is; `docker inspect` shows the table.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["lbg", "status"]
ENTRYPOINT ["lbg"]
CMD ["run"]
