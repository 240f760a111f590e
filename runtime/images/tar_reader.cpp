#include "runtime/images/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <cerrno>

namespace moth::images {

TarReader::TarReader(ByteSource& source, std::string what)
    : what_(std::move(what)),
      state_(std::make_unique<State>(State{source, std::nullopt})),
      reader_(archive_read_new()) {}

void TarReader::Free::operator()(archive* reader) const {
  archive_read_free(reader);
}

ssize_t TarReader::read(archive* reader, void* data, const void** buffer) {
  auto* state = static_cast<State*>(data);
  auto piece = state->source.read();
  if (!piece) {
    state->error = std::move(piece).error();
    archive_set_error(reader, EIO, "source");
    return -1;
  }
  *buffer = piece->data();
  return static_cast<ssize_t>(piece->size());
}

Result<void> TarReader::open(std::string_view wrong, bool may_be_empty) {
  archive_read_support_format_tar(reader_.get());
  if (may_be_empty) archive_read_support_format_empty(reader_.get());
  archive_read_support_filter_none(reader_.get());
  if (archive_read_open(reader_.get(), state_.get(), nullptr, read, nullptr) == ARCHIVE_OK) {
    return {};
  }
  return fail(error(wrong));
}

Result<archive_entry*> TarReader::next(std::string_view wrong) {
  archive_entry* entry = nullptr;
  int code = archive_read_next_header(reader_.get(), &entry);
  if (code == ARCHIVE_EOF) return nullptr;
  if (code < ARCHIVE_WARN) return fail(error(wrong));
  return entry;
}

Error TarReader::error(std::string_view wrong) const {
  if (state_->error) return *state_->error;
  const char* text = archive_error_string(reader_.get());
  return Error::bad_request(fmt::format("{}: {}: {}", what_, wrong, text ? text : "unknown"));
}

}  // namespace moth::images
