"""An S3 bucket: every file is a multipart upload, however small, which is completed when it is published.

An upload that is not completed is no object, so nothing has to be hidden or renamed; the manifest carries its id
and the parts' ETags. Manifests are put with ``If-None-Match: *``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sinks.lake.manifest import StoredFile, Upload
from ingest.sinks.lake.names import LEDGERS, hidden_path, is_data, is_data_of
from ingest.sinks.lake.store import Draft, Store, is_published, missing

PART_BYTES = 8 * 1024 * 1024
"""S3 takes parts from 5 MiB on (the last may be smaller), and 10 000 of them: files of up to 80 GB."""


class OpenUpload(NamedTuple):
    """An upload that nobody has completed or aborted."""

    key: str
    id: str


class S3Draft(Draft):
    """Holds up to one part in memory. The upload begins with the first one."""

    def __init__(self, path: str, store: S3Store) -> None:
        super().__init__(path)
        self._store = store
        self._upload_id = ""
        self._etags: list[str] = []
        self._part = bytearray()

    @property
    def held_bytes(self) -> int:
        return len(self._part)

    def _append(self, view: memoryview) -> None:
        self._part += view
        while len(self._part) >= PART_BYTES:
            self._send(self._part[:PART_BYTES])
            del self._part[:PART_BYTES]

    def finish(self) -> StoredFile:
        if self._part:
            self._send(self._part)
            self._part = bytearray()
        upload = Upload(self._upload_id, tuple(self._etags))
        return StoredFile(self.path, self.size_bytes, self.crc32c, upload=upload)

    def _remove(self) -> None:
        self._part = bytearray()
        if self._upload_id:
            self._store.call("abort_multipart_upload", self.path, UploadId=self._upload_id)

    def _send(self, part: bytearray) -> None:
        if not self._upload_id:
            self._upload_id = self._store.call("create_multipart_upload", self.path)["UploadId"]
        number = len(self._etags) + 1
        answer = self._store.call(
            "upload_part", self.path, UploadId=self._upload_id, PartNumber=number, Body=bytes(part)
        )
        self._etags.append(answer["ETag"])


class S3Store(Store):
    """``root`` is ``bucket/prefix`` in ``filesystem``, which is s3fs without its cache of listings."""

    def __init__(self, filesystem: Any, root: str) -> None:
        self._filesystem = filesystem
        self._bucket, _, prefix = root.partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """One request on the object at ``path``. A refusal that waiting may cure is ``SystemUnavailable``."""
        with self._answering(path):
            return self._filesystem.call_s3(method, Bucket=self._bucket, Key=self._key(path), **arguments)

    def describe(self, path: str = "") -> str:
        return f"s3://{self._bucket}/{self._key(path)}".rstrip("/")

    def check(self) -> None:
        with self._answering(""):
            try:
                self._filesystem.call_s3("head_bucket", Bucket=self._bucket)
            except FileNotFoundError as error:
                raise self._no_bucket() from error

    def draft(self, path: str, writer: str) -> Draft:
        return S3Draft(path, self)

    def settle(self, files: Sequence[StoredFile]) -> None:
        return

    def publish(self, file: StoredFile) -> None:
        if is_published(self, file):
            return
        upload = file.upload
        if upload is None:
            raise missing(self, file)
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(upload.etags, 1)]
        try:
            self.call("complete_multipart_upload", file.path, UploadId=upload.id, MultipartUpload={"Parts": parts})
        except (FileNotFoundError, SystemUnavailable) as error:
            # an answer that was lost, or another process that finished the same commit: what is there decides
            if is_published(self, file):
                return
            if isinstance(error, FileNotFoundError) or not self._is_uploading(file.path, upload):
                raise missing(self, file) from error
            raise
        if not is_published(self, file):
            raise SystemUnavailable(f"{self.describe(file.path)} is not there after its upload was completed")

    def settle_published(self, files: Sequence[StoredFile]) -> None:
        return

    def hide(self, path: str) -> None:
        # S3 cannot rename: the bucket copies the object without a byte passing here, then the name goes
        source = {"Bucket": self._bucket, "Key": self._key(path)}
        try:
            self.call("copy_object", hidden_path(path), CopySource=source)
        except FileNotFoundError:
            return
        self.call("delete_object", path)

    def remove(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.call("delete_object", path)

    def put_if_absent(self, path: str, content: bytes, writer: str) -> bool:
        try:
            self.call("put_object", path, Body=content, IfNoneMatch="*")
        except SystemUnavailable as error:
            # 412: it is there. Anything else may have landed all the same: what is there decides.
            found = self.read(path)
            if found is None:
                raise
            if _code(error) in _TAKEN or found != content:
                return False
        return True

    def settle_folder(self, folder: str) -> None:
        return

    def read(self, path: str) -> bytes | None:
        with self._answering(path):
            try:
                return bytes(self._filesystem.cat_file(self._full(path)))
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        with self._answering(folder):
            try:
                found = self._filesystem.ls(self._full(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(name for name in (path.rstrip("/").rpartition("/")[2] for path in found) if name)

    def size_bytes(self, path: str) -> int | None:
        with self._answering(path):
            try:
                answer = self._filesystem.call_s3("head_object", Bucket=self._bucket, Key=self._key(path))
            except FileNotFoundError:
                return None
        return int(answer["ContentLength"])

    def data_files(self) -> Iterator[str]:
        with self._answering(""):
            found = self._filesystem.find(self._full(""))
        for path in found:
            below = path.removeprefix(f"{self._bucket}/{self._prefix}")
            if is_data(below) and not below.startswith(f"{LEDGERS}/"):
                yield below

    def strays(self, owner: str) -> list[Any]:
        return [upload for upload in self._uploads() if is_data_of(owner, upload.key.rpartition("/")[2])]

    def remove_strays(self, strays: Sequence[Any]) -> None:
        for upload in strays:
            with self._answering(upload.key), contextlib.suppress(FileNotFoundError):
                self._filesystem.call_s3(
                    "abort_multipart_upload", Bucket=self._bucket, Key=upload.key, UploadId=upload.id
                )

    def filesystem(self) -> tuple[Any, str]:
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        return PyFileSystem(FSSpecHandler(self._filesystem)), self._full("")

    def _is_uploading(self, path: str, upload: Upload) -> bool:
        try:
            self.call("list_parts", path, UploadId=upload.id)
        except FileNotFoundError:
            return False
        return True

    def _uploads(self) -> Iterator[OpenUpload]:
        more: dict[str, Any] = {}
        while True:
            with self._answering(""):
                answer = self._filesystem.call_s3(
                    "list_multipart_uploads", Bucket=self._bucket, Prefix=self._prefix, **more
                )
            for item in answer.get("Uploads", ()):
                yield OpenUpload(item["Key"], item["UploadId"])
            if not answer.get("IsTruncated"):
                return
            more = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}

    def _no_bucket(self) -> ConnectorError:
        return ConnectorError(f"there is no bucket {self._bucket}", hint="create it, or correct the url")

    def _key(self, path: str) -> str:
        return f"{self._prefix}{path}"

    def _full(self, path: str) -> str:
        return f"{self._bucket}/{self._key(path)}".rstrip("/")

    @contextlib.contextmanager
    def _answering(self, path: str) -> Iterator[None]:
        where = self.describe(path)
        try:
            yield
        except FileNotFoundError as error:
            if _code(error) == "NoSuchBucket":
                raise self._no_bucket() from error
            raise
        except PermissionError as error:
            hint = "check the credentials and the rights of their user"
            raise ConnectorError(f"{where}: {error}", hint=hint, path=where) from error
        except Exception as error:
            if type(error).__name__ in _NO_CREDENTIALS:
                hint = "set key and secret in storage_options, or the AWS environment variables"
                raise ConnectorError(f"{where}: {error}", hint=hint, path=where) from error
            if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _CLIENTS:
                raise SystemUnavailable(f"{where}: {error}", path=where) from error
            raise


_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError")
_CLIENTS = ("botocore", "aiobotocore", "aiohttp")
_TAKEN = ("PreconditionFailed", "412")


def _code(error: BaseException | None) -> str:
    """The code in the answer of S3 behind an error; "" if there was none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        error = error.__cause__
    return ""
