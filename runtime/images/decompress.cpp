#include "runtime/images/decompress.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <optional>

namespace moth::images {
namespace {

constexpr std::size_t kOutput = 256 * 1024;
constexpr std::size_t kMagic = 4;

Error broken(std::string_view what) {
  return Error::bad_request(fmt::format("cannot decompress: {}", what));
}

// Takes input pieces and fills an output buffer. One per format.
class Codec {
 public:
  virtual ~Codec() = default;
  // Consumes from `input`; returns the bytes written to `output`. 0 with an empty input asks for
  // more.
  virtual Result<std::size_t> step(std::string_view& input, char* output, std::size_t size) = 0;
  // False when the input may not end here.
  virtual bool complete() const = 0;
};

class PlainCodec final : public Codec {
 public:
  Result<std::size_t> step(std::string_view& input, char* output, std::size_t size) override {
    std::size_t count = std::min(size, input.size());
    std::copy_n(input.data(), count, output);
    input.remove_prefix(count);
    return count;
  }
  bool complete() const override { return true; }
};

class GzipCodec final : public Codec {
 public:
  GzipCodec() { ready_ = ::inflateInit2(&stream_, 15 + 16) == Z_OK; }
  ~GzipCodec() override { ::inflateEnd(&stream_); }
  GzipCodec(const GzipCodec&) = delete;
  GzipCodec& operator=(const GzipCodec&) = delete;

  Result<std::size_t> step(std::string_view& input, char* output, std::size_t size) override {
    if (!ready_) return fail(Error::internal("zlib could not be initialised"));
    if (ended_ && !input.empty()) {
      // Some writers pad with zero bytes after the last member.
      if (input.front() == '\0') {
        input = {};
        return std::size_t{0};
      }
      ::inflateReset(&stream_);
      ended_ = false;
    }
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(output);
    stream_.avail_out = static_cast<uInt>(size);
    int code = ::inflate(&stream_, Z_NO_FLUSH);
    input.remove_prefix(input.size() - stream_.avail_in);
    if (code == Z_STREAM_END) {
      ended_ = true;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      return fail(broken(stream_.msg ? stream_.msg : "damaged gzip data"));
    }
    return size - stream_.avail_out;
  }
  bool complete() const override { return ended_; }

 private:
  z_stream stream_{};
  bool ready_ = false;
  bool ended_ = false;
};

class ZstdCodec final : public Codec {
 public:
  ZstdCodec() : stream_(ZSTD_createDStream()) {
    // The default window limit (128 MiB) bounds memory.
    ZSTD_initDStream(stream_);
  }
  ~ZstdCodec() override { ZSTD_freeDStream(stream_); }
  ZstdCodec(const ZstdCodec&) = delete;
  ZstdCodec& operator=(const ZstdCodec&) = delete;

  Result<std::size_t> step(std::string_view& input, char* output, std::size_t size) override {
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer out{output, size, 0};
    std::size_t left = ZSTD_decompressStream(stream_, &out, &in);
    if (ZSTD_isError(left)) return fail(broken(ZSTD_getErrorName(left)));
    input.remove_prefix(in.pos);
    at_frame_end_ = left == 0;
    return out.pos;
  }
  bool complete() const override { return at_frame_end_; }

 private:
  ZSTD_DStream* stream_;
  bool at_frame_end_ = true;
};

std::unique_ptr<Codec> choose_codec(std::string_view head) {
  if (head.size() >= 2 && head[0] == '\x1f' && head[1] == '\x8b') {
    return std::make_unique<GzipCodec>();
  }
  if (head.size() >= 4 && head.substr(1, 3) == "\xb5\x2f\xfd" &&
      (head[0] == '\x28' || (head[0] & '\xf0') == '\x50')) {
    return std::make_unique<ZstdCodec>();
  }
  return std::make_unique<PlainCodec>();
}

class Decompressor final : public ByteSource {
 public:
  Decompressor(ByteSource& input, DecompressLimits limits)
      : input_(input), limits_(limits), output_(kOutput, '\0') {}

  Result<std::string_view> read() override {
    if (!codec_) MOTH_TRY(start());
    while (true) {
      // A codec may hold output back after its input is used up, so it is asked before the source.
      if (!rest_.empty() || drain_) {
        MOTH_ASSIGN(std::size_t made, codec_->step(rest_, output_.data(), output_.size()));
        drain_ = made == output_.size();
        if (made > 0) {
          produced_ += made;
          MOTH_TRY(check_limits());
          return std::string_view(output_.data(), made);
        }
        continue;
      }
      MOTH_ASSIGN(rest_, input_.read());
      consumed_ += rest_.size();
      if (rest_.empty()) {
        if (!codec_->complete()) return fail(broken("unexpected end of data"));
        return std::string_view();
      }
    }
  }

 private:
  Result<void> start() {
    while (head_.size() < kMagic) {
      MOTH_ASSIGN(std::string_view piece, input_.read());
      if (piece.empty()) break;
      head_ += piece;
    }
    consumed_ = head_.size();
    rest_ = head_;
    codec_ = choose_codec(head_);
    return {};
  }

  Result<void> check_limits() const {
    if (produced_ > limits_.max_bytes) {
      return fail(Error::of(
          Reason::kRequestEntityTooLarge,
          fmt::format("content is larger than {} bytes when decompressed", limits_.max_bytes)));
    }
    if (produced_ > limits_.ratio_free_bytes && produced_ / limits_.ratio > consumed_) {
      return fail(Error::of(Reason::kRequestEntityTooLarge,
                            fmt::format("{} compressed bytes grow to more than {} times as much: "
                                        "refused as a decompression bomb",
                                        consumed_, limits_.ratio)));
    }
    return {};
  }

  ByteSource& input_;
  const DecompressLimits limits_;
  std::unique_ptr<Codec> codec_;
  std::string head_;
  std::string_view rest_;
  std::string output_;
  bool drain_ = false;
  std::uint64_t consumed_ = 0;
  std::uint64_t produced_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> decompress(ByteSource& input, DecompressLimits limits) {
  return std::make_unique<Decompressor>(input, limits);
}

Result<std::string> compress(std::string_view bytes, Compression kind) {
  if (kind == Compression::kNone) return std::string(bytes);
  if (kind == Compression::kZstd) {
    std::string out(ZSTD_compressBound(bytes.size()), '\0');
    std::size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3);
    if (ZSTD_isError(size)) return fail(Error::internal(ZSTD_getErrorName(size)));
    out.resize(size);
    return out;
  }
  z_stream stream{};
  if (::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(Error::internal("zlib could not be initialised"));
  }
  std::string out(::deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  int code = ::deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  ::deflateEnd(&stream);
  if (code != Z_STREAM_END) return fail(Error::internal("gzip failed"));
  return out;
}

}  // namespace moth::images
