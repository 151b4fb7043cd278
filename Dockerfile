# One image for the API and the workers; docker-compose.yml says which command runs in which container. Without compose,
# beside a Redis of your own (docs/configuration.md has both commands in full):
#
#   docker run -e REDIS_URL=… -e API_KEY=… -e FILES_SHARED=true -v longrun-files:/files \
#     -v longrun-library:/library -p 127.0.0.1:8080:8080 longrun
#   docker run -e REDIS_URL=… -e API_KEY=… -e FILES_SHARED=true -v longrun-files:/files \
#     -v longrun-library:/library --health-cmd 'node src/worker/health.ts' longrun \
#     node --min-semi-space-size=8 --max-semi-space-size=8 src/worker/main.ts
#
# The base image by its digest: what was tried is what is built, whatever its tag leads to later. Its version is that of
# the `node` package in package.json. For an image of your own: docker build --build-arg NODE_IMAGE=…
ARG NODE_IMAGE=node:24.21.0-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6
FROM ${NODE_IMAGE}
WORKDIR /app
ENV NODE_ENV=production

# What code_interpreter needs, for workers that docker-compose.code.yml starts: docker build --build-arg WITH_CODE=yes
ARG WITH_CODE=
RUN if [ -n "$WITH_CODE" ]; then apt-get update && apt-get install -y --no-install-recommends bubblewrap python3-venv \
  && rm -rf /var/lib/apt/lists/*; fi

COPY package.json package-lock.json ./
# Without the optional packages, too: they are vitest and what it brings, which the demo model's package can work with, and
# a native decoder of messages that only ever get encoded here.
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund && npm cache clean --force
COPY src ./src
# Readable however private the folder was that they come from. And where compose keeps what it makes up, files, their index,
# and packages of Python, in volumes that take their owner from here.
RUN chmod -R u=rwX,go=rX package.json package-lock.json src && install -d -o node -g node /keys /files /library /code

# A container's loopback address is nobody's but its own; and who listens on another one asks for a key.
ENV HOST=0.0.0.0 AUTH=key FILES_URL=/files LIBRARY_URL=/library/library.sqlite
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# As src/memory.ts says.
CMD ["node", "--min-semi-space-size=8", "--max-semi-space-size=8", "src/api/main.ts"]
