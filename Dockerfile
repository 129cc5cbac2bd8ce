# Tandem as a container image: `docker build -t tandem .`. The target `lab` holds the clients and the relay of
# docker-compose.yml. Tested with Node 20; another one: --build-arg NODE=22-bookworm-slim.
ARG NODE=20-bookworm-slim

# The same step that `npm start` begins with: install the packages of the lock file without their scripts, compile.
FROM node:${NODE} AS build
WORKDIR /opt/tandem
COPY . .
RUN node src/setup.mjs

# Without what only building and testing need.
FROM build AS tree
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf build/test test \
  && chmod a+x build/src/main.js

FROM node:${NODE} AS lab
RUN apt-get update \
  && apt-get install --yes --no-install-recommends iproute2 isc-dhcp-client isc-dhcp-relay udhcpc \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/tandem
COPY --from=build /opt/tandem /opt/tandem

FROM node:${NODE} AS server
# A user of its own. Node may open ports below 1024 and packet sockets, if the container may: the file capabilities take
# no effect beyond what `cap_add` leaves, nor under `no-new-privileges`.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends libcap2-bin \
  && setcap cap_net_bind_service,cap_net_raw+ep /usr/local/bin/node \
  && apt-get purge --yes --auto-remove libcap2-bin \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --uid 647 --home-dir /var/lib/tandem --shell /usr/sbin/nologin tandem \
  && install --directory --owner=tandem --group=tandem --mode=0700 /var/lib/tandem \
  && install --directory --owner=tandem --group=tandem --mode=0750 /run/tandem /etc/tandem \
  && ln -s /opt/tandem/build/src/main.js /usr/local/bin/tandem
WORKDIR /opt/tandem
COPY --from=tree /opt/tandem /opt/tandem
USER tandem
VOLUME /var/lib/tandem
EXPOSE 67/udp 647/tcp 8647/tcp
# Unhealthy: it lives, but can answer nobody, because it is paused, its clock is held or no interface is there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["tandem", "status", "--ready"]
ENTRYPOINT ["tandem"]
CMD ["serve", "-c", "/etc/tandem/tandem.yaml"]
