# All commands of the package on its default lane; neither weights nor data.
#
#     docker build -t ben-tf .
#     docker run --rm -v "$PWD:/data" ben-tf export --workdir=runs/resnet50
#
# docs/serving.md says more. It was not built where it was written.

FROM python:3.11.13-slim-bookworm AS build
COPY . /source
RUN python -m venv /opt/ben_tf \
    && /opt/ben_tf/bin/pip install --no-cache-dir '/source[export]'

FROM python:3.11.13-slim-bookworm
# The wheels of rasterio expect it, and slim images may lack it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libexpat1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 ben
COPY --from=build /opt/ben_tf /opt/ben_tf
ENV PATH="/opt/ben_tf/bin:$PATH"
USER 1000:1000
WORKDIR /data
ENTRYPOINT ["bigearthnet-tf"]
CMD ["--help"]
