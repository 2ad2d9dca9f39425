# syntax=docker/dockerfile:1.7

# The images of Otodoke. Ask for one by name:
#   docker build --target otodoke-producer .   the door, with the command line beside it
#   docker build --target otodoke-worker .     delivery, receipts and the sweep
#   docker build --target otodoke .            the command line, with the sandbox in it: not for production
# The sandbox is in the command line: only what the worker's image holds cannot pretend to be a carrier.

ARG RUST_VERSION=1.95.0
ARG DEBIAN=bookworm
# TLS to RabbitMQ and PostgreSQL. Empty leaves it out.
ARG FEATURES=tls

FROM rust:${RUST_VERSION}-slim-${DEBIAN} AS source
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY allocator allocator
COPY bench bench
COPY common common
COPY migrations migrations
COPY producer producer
COPY providers providers
COPY worker worker
COPY sandbox sandbox
COPY otodoke otodoke
COPY tests tests

# Compiled dependencies stay in a cache of the builder between builds; only what is put into /out leaves it.
FROM source AS programs
ARG FEATURES
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --release --locked --features "$FEATURES" --package otodoke-producer --package otodoke-worker \
    && install -D --target-directory=/out target/release/otodoke-producer target/release/otodoke-worker

FROM source AS command-line
ARG FEATURES
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --release --locked --features "$FEATURES" --package otodoke \
    && install -D --target-directory=/out target/release/otodoke

# A program needs the C library, the certificates of the vendors' authorities, and nothing else. It writes no file: the
# root of its container may be read-only.
FROM debian:${DEBIAN}-slim AS runtime
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 otodoke \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /otodoke --shell /usr/sbin/nologin otodoke
COPY --chmod=0755 deploy/container/healthy /usr/local/bin/healthy
# Settings name their secrets relative to this directory, which is laid out as the repository is.
WORKDIR /otodoke
ENV OTODOKE_CONFIG=deploy/otodoke.toml \
    OTODOKE_LOG_FORMAT=json
USER 10001:10001
STOPSIGNAL SIGTERM

FROM runtime AS otodoke
COPY --from=command-line /out/otodoke /usr/local/bin/
# Where the sandbox keeps its handsets. A volume put here starts as this is: open to whatever user it runs as.
USER root
RUN install -d -m 1777 /otodoke/data
USER 10001:10001
ENTRYPOINT ["otodoke"]
CMD ["--help"]

FROM runtime AS otodoke-worker
COPY --from=programs /out/otodoke-worker /usr/local/bin/
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["healthy", "8081"]
ENTRYPOINT ["otodoke-worker"]
CMD ["run", "--listen", "0.0.0.0:8081"]

FROM runtime AS otodoke-producer
COPY --from=programs /out/otodoke-producer /usr/local/bin/
# For people: keys, roots, parked bodies, the topology, with the settings and secrets that are there.
COPY --from=command-line /out/otodoke /usr/local/bin/
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["healthy", "8080"]
ENTRYPOINT ["otodoke-producer"]
CMD ["serve", "--listen", "0.0.0.0:8080"]
