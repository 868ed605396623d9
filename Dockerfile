# The image of pgpilot: one binary on distroless, as uid 65532, fit for a read-only root file system.
#
#   docker build -t pgpilot .                                  or `just image`, which passes the version of Cargo.toml
#   docker build --build-arg VERSION=0.1.0 -t pgpilot:0.1.0 .
#
# Plain Dockerfile syntax on purpose: it also builds with an engine that has no BuildKit (20.10, Podman).

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src

# The dependencies are a layer of their own, which is built again only when the manifest or the lock file changes:
# they take minutes, our own code takes seconds.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
 && echo 'fn main() {}' >src/main.rs \
 && touch src/lib.rs \
 && cargo build --locked --release \
 && rm -rf src

# COPY keeps the sources' own times, which may lie before the stand-in's build: cargo would then see nothing to do.
COPY src src
RUN find src -name '*.rs' -exec touch {} + \
 && cargo build --locked --release \
 && install -D -m 0755 target/release/pgpilot /out/bin/pgpilot \
 && install -d -m 0700 /out/state/pgpilot \
 && install -d -m 0755 /out/top/secrets

FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=unversioned
LABEL org.opencontainers.image.title="pgpilot" \
      org.opencontainers.image.description="Fits PostgreSQL to its machine, exports its metrics, and takes back what does harm" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"

COPY --from=build /out/bin/pgpilot /usr/local/bin/pgpilot
# Parents are copied, not the folders themselves, because only so do their modes arrive. A volume that is mounted
# here for the first time takes over owner and mode, so the state is ours and nobody else's.
COPY --chown=65532:65532 --from=build /out/state/ /var/lib/
COPY --chown=65532:65532 --from=build /out/top/ /

USER 65532:65532
VOLUME /var/lib/pgpilot
# A container's loopback is reached by nobody; what is published on the host is decided with `ports`.
ENV PGPILOT_LISTEN=0.0.0.0:9187
EXPOSE 9187
STOPSIGNAL SIGTERM
# Five seconds between checks, because the first one comes only after the interval, and others wait for "healthy".
# The start period covers PGPILOT_START_DEADLINE (60 s).
HEALTHCHECK --interval=5s --timeout=3s --start-period=70s --retries=3 CMD ["pgpilot", "healthcheck"]
ENTRYPOINT ["pgpilot"]
CMD ["serve"]
