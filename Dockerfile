# forewarn as a small image without a shell, run by a user without rights.
FROM rust:1.94-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY rules rules
COPY src src
ARG FOREWARN_REVISION=unknown
RUN cargo build --release --locked --bin forewarn && strip target/release/forewarn
RUN mkdir -p /empty/data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/forewarn /usr/bin/forewarn
COPY rules /usr/share/forewarn/rules
COPY samples /usr/share/forewarn/samples
COPY --from=build --chown=65532:65532 /empty/data /var/lib/forewarn
USER 65532:65532
EXPOSE 8420
VOLUME ["/var/lib/forewarn"]
# There is no shell and no curl; forewarn asks itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 CMD ["/usr/bin/forewarn", "health", "--url", "http://127.0.0.1:8420"]
ENTRYPOINT ["/usr/bin/forewarn"]
CMD ["run", "--config", "/etc/forewarn/forewarn.yaml"]
