# smurfq on the pysmurf base image, which brings pysmurf, sodetlib and their Python.
#
#   docker compose build --build-arg PYSMURF_BASE=...
#
# The base image must have Python 3.11 or later. Do not install smurfq's extra `slot`: it would install a second pysmurf
# in addition to the one of the base image or the development copy that docker-compose.yml mounts.
ARG PYSMURF_BASE=simonsobs/so_smurf_base:rogue6-rc1
FROM ${PYSMURF_BASE}

USER root
WORKDIR /smurfq
COPY pyproject.toml README.md LICENSE ./
COPY smurfq ./smurfq
COPY examples ./examples
RUN python3 -c 'import sys; assert sys.version_info >= (3, 11), f"smurfq needs Python 3.11, the base image has {sys.version}"' \
    && python3 -m pip install --no-cache-dir '.[flower,archive]'

ENV PYTHONUNBUFFERED=1 \
    OCS_CONFIG_DIR=/config
USER cryo
WORKDIR /data
CMD ["smurfq", "doctor"]
