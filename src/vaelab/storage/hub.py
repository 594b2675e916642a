"""Files on the Hugging Face hub: the only part of vaelab that uses the network, and only when it is asked to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaelab.errors import Failure, InputError, shown

__all__ = ["download", "upload"]


def upload(folder: Path, name: str, private: bool, token: str | None) -> str:
    """Upload the files of a directory to a repository, created if it is not there; return the address of the commit.

    Raises:
        InputError: huggingface_hub is not installed, or the hub does not take the name or the token.
        Failure: the hub does not answer.
    """
    with _one_sentence(name) as hub:
        api = hub.HfApi(token=token, library_name="vaelab")
        api.create_repo(name, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=name, folder_path=folder, commit_message="Model saved by vaelab")
        return str(commit.commit_url)


def download(name: str, files: Sequence[str], fetch: bool, revision: str | None, token: str | None) -> Path:
    """Return the directory in which huggingface_hub keeps the files of a repository.

    Args:
        name: OWNER/NAME.
        files: the files; no others are fetched.
        fetch: whether the network may be used; if not, the files must have been fetched before.
        revision: a branch, a tag or a commit; the newest commit by default.
        token: of the hub.

    Raises:
        InputError: huggingface_hub is not installed, or there is no such repository.
        Failure: the hub does not answer.
    """
    with _one_sentence(name) as hub:
        found = hub.snapshot_download(
            name, revision=revision, token=token, allow_patterns=list(files), local_files_only=not fetch
        )
        return Path(found)


@contextmanager
def _one_sentence(name: str) -> Iterator[Any]:
    """Give the module huggingface_hub to the block, and turn its errors into one sentence."""
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError:
        raise InputError(
            f'hub: {shown(name)} is no directory here, and a repository needs a package; pip install "vaelab[hub]"'
        ) from None
    try:
        yield huggingface_hub
    except errors.HFValidationError:
        raise InputError(f"name: expected OWNER/NAME of a repository of the hub; got {shown(name)}") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise InputError(f"name: the hub has no {shown(name)} for you, or not this revision") from error
    except errors.LocalEntryNotFoundError as error:
        if "connection" in str(error):
            raise Failure(f"hub: no answer for {shown(name)}; check the connection") from error
        raise InputError(
            f"path: {shown(name)} is no directory here and was not fetched before; with download=True it is fetched "
            "from the hub"
        ) from error
    except errors.LocalTokenNotFoundError as error:
        raise InputError("token: expected a token of the hub; hf auth login stores one") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise InputError(f"token: the hub does not allow this for {shown(name)} (status {status})") from error
        raise Failure(f"hub: {shown(name)} failed with status {status}") from error
    except Exception as error:
        # what is left is an answer that it cannot read, or an error of the library that it uses for HTTP
        raise Failure(f"hub: no usable answer for {shown(name)} ({(str(error).splitlines() or [''])[0]})") from error
