# The image holds our own static binary and a folder that its user may write, nothing else. scripts/compose builds the binary.
FROM scratch
COPY dapple /dapple
COPY --chown=65532:65532 data /data
USER 65532:65532
VOLUME /data
EXPOSE 8080 7080
ENTRYPOINT ["/dapple"]
CMD ["serve"]
