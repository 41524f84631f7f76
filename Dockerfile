# dlms-hes in a container: docker build -t dlms-hes . && docker run -p 4059:4059 -v hes:/var/lib/dlms-hes dlms-hes
FROM node:24-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json bundle.js ./
COPY src src
COPY simulator simulator
COPY test/bench test/bench
RUN npm run build

FROM node:24-slim AS packages
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:24-slim
# Room for young objects: pushes live until their COMMIT, and with the default of 16 MB they are copied again and again meanwhile.
ENV NODE_ENV=production \
    NODE_OPTIONS=--max-semi-space-size=64 \
    HES_DATA_DIR=/var/lib/dlms-hes \
    HES_HTTP__LISTEN=0.0.0.0:8059 \
    HES_LOG__FORMAT=json
WORKDIR /opt/dlms-hes
COPY --from=packages /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE README.md ./
COPY obis obis
COPY migrations migrations
COPY docs docs
RUN install -d -o node -g node -m 0700 /var/lib/dlms-hes \
 && chmod 0755 dist/src/main.js \
 && ln -s /opt/dlms-hes/dist/src/main.js /usr/local/bin/hes
USER node
VOLUME /var/lib/dlms-hes
# Meters; health and metrics.
EXPOSE 4059 8059
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8059/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["hes"]
CMD ["serve"]
