"""Errors about files and uploads.

ApiError
├── InvalidRequest           400
│   ├── UnsupportedPurpose
│   ├── DownloadNotAllowed
│   ├── UnknownUploadPart
│   ├── UploadMismatch       the parts of an upload do not make its file
│   ├── UploadTooLarge
│   ├── UploadTooSlow
│   └── BodyTooLarge         413
│       └── FileTooLarge
├── NotFound                 404
│   └── FileNotFound
├── RangeNotSatisfiable      416
├── ContentLost              500, a file's row without its bytes
└── StoreUnavailable         503
"""

from collections.abc import Sequence

from models.errors import ApiError, BodyTooLarge, InvalidRequest, NotFound


class FileNotFound(NotFound):
    def __init__(self, file_id: str) -> None:
        super().__init__(f"No such File object: {file_id}", "id")


class FileTooLarge(BodyTooLarge):
    def __init__(self, param: str, limit: int) -> None:
        InvalidRequest.__init__(
            self, f"Invalid '{param}': it is too large. At most {limit} bytes are taken.", param, "file_too_large"
        )


class UnsupportedPurpose(InvalidRequest):
    def __init__(self, given: str, supported: Sequence[str]) -> None:
        super().__init__(f"'{given}' is not one of {[str(each) for each in supported]} - 'purpose'", "purpose")


class DownloadNotAllowed(InvalidRequest):
    def __init__(self, purpose: str) -> None:
        super().__init__(f"Not allowed to download files of purpose: {purpose}")


class UnknownUploadPart(InvalidRequest):
    def __init__(self, index: int, part_id: str) -> None:
        param = f"part_ids[{index}]"
        super().__init__(f"Invalid '{param}': the upload has no part with id '{part_id}'.", param, "invalid_value")


class UploadMismatch(InvalidRequest):
    @classmethod
    def of_sizes(cls, got: int, expected: int) -> "UploadMismatch":
        return cls(
            f"Invalid 'part_ids': the parts have {got} bytes together, but the upload was created for {expected}.",
            "part_ids",
            "invalid_value",
        )

    @classmethod
    def of_digests(cls, got: str, expected: str) -> "UploadMismatch":
        return cls(
            f"Invalid 'md5': the parts together have the checksum {got}, but {expected} was expected.",
            "md5",
            "invalid_value",
        )


class UploadTooLarge(InvalidRequest):
    @classmethod
    def of_bytes(cls, limit: int) -> "UploadTooLarge":
        return cls(f"The parts of an upload have at most {limit} bytes together.", "data", "upload_too_large")

    @classmethod
    def of_parts(cls, limit: int) -> "UploadTooLarge":
        return cls(f"An upload has at most {limit} parts.", "data", "upload_too_large")


class UploadTooSlow(InvalidRequest):
    def __init__(self, minutes: int) -> None:
        super().__init__(f"The upload took more than {minutes} minutes. Send the file in parts, with /v1/uploads.")


class StoreUnavailable(ApiError):
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The server's object store does not answer at the moment, and nothing was done. You can retry your request."
        )


class ContentLost(ApiError):
    def __init__(self, file_id: str) -> None:
        super().__init__(f"The content of file {file_id} is missing in the server's object store.")


class RangeNotSatisfiable(ApiError):
    status = 416
    type = "invalid_request_error"

    def __init__(self, size: int) -> None:
        super().__init__(f"The requested range is not within the {size} bytes of the file.", "Range", "invalid_range")
        self.size = size
