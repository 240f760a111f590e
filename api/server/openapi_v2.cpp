#include "api/server/openapi_v2.h"

#include <zlib.h>

#include <boost/asio/steady_timer.hpp>

#include "api/base/await_on.h"
#include "api/base/json.h"
#include "api/base/notifier.h"
#include "api/machinery/managed_text.h"
#include "api/server/openapi_describe.h"

namespace moth::server {
namespace {

constexpr int kGzipWindow = 15 + 16;
constexpr int kGzipLevel = 6;
constexpr std::size_t kPiece = 64 << 10;

// Compresses as it goes: the plain text never exists as a whole.
class GzipSink {
 public:
  GzipSink() {
    ready_ =
        deflateInit2(&stream_, kGzipLevel, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~GzipSink() {
    if (ready_) deflateEnd(&stream_);
  }
  GzipSink(const GzipSink&) = delete;
  GzipSink& operator=(const GzipSink&) = delete;

  void add(std::string_view bytes) { run(bytes, Z_NO_FLUSH); }
  Result<std::string> finish() {
    run({}, Z_FINISH);
    if (!ready_) return fail(Error::internal("gzip compression failed"));
    out_.shrink_to_fit();
    return std::move(out_);
  }

 private:
  void run(std::string_view bytes, int flush) {
    if (!ready_) return;
    // zlib does not write through it.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      std::size_t before = out_.size();
      out_.resize(before + kPiece);
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data() + before);
      stream_.avail_out = kPiece;
      ready_ = deflate(&stream_, flush) != Z_STREAM_ERROR;
      out_.resize(out_.size() - stream_.avail_out);
    } while (ready_ && stream_.avail_out == 0);
  }

  z_stream stream_{};
  std::string out_;
  bool ready_ = false;
};

std::size_t index_of(schema::OpenApiV2Form form) {
  return form == schema::OpenApiV2Form::kJson ? 0 : 1;
}

Result<std::string> build(schema::OpenApiV2Form form, const resources::Registry::Rows& rows,
                          const std::string& version) {
  std::vector<schema::ResourceInfo> resources;
  schema::CustomSchemas custom;
  for (const resources::ResourceDef* def : rows) {
    // Metrics have no schema.
    if (!def->served || !def->type()) continue;
    resources.push_back(describe_for_openapi(*def));
    if (def->custom) {
      custom[schema::openapi_name(def->type())] =
          Json::parse(raw_json_text(def->custom->openapi()));
    }
  }
  schema::OpenApiOptions options;
  options.version = version;
  GzipSink sink;
  schema::write_openapi_v2(form, resources, custom, options,
                           [&](std::string_view bytes) { sink.add(bytes); });
  return sink.finish();
}

}  // namespace

struct OpenApiV2::State {
  State(Executors& where, const resources::Registry& kinds, std::string text)
      : executors(where),
        registry(kinds),
        version(std::move(text)),
        built(where.io()),
        forget(where.io()) {}

  Executors& executors;
  const resources::Registry& registry;
  std::string version;
  std::array<std::optional<Document>, 2> documents;
  bool building = false;
  Notifier built;
  asio::steady_timer forget;
};

OpenApiV2::OpenApiV2(Executors& executors, const resources::Registry& registry, std::string version)
    : state_(std::make_shared<State>(executors, registry, std::move(version))) {}

OpenApiV2::~OpenApiV2() = default;

Result<schema::OpenApiV2Form> OpenApiV2::form_of(std::string_view accept) {
  if (accept.empty()) return schema::OpenApiV2Form::kJson;
  while (!accept.empty()) {
    auto comma = accept.find(',');
    std::string_view one = accept.substr(0, comma);
    accept.remove_prefix(comma == std::string_view::npos ? accept.size() : comma + 1);
    one = one.substr(0, one.find(';'));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one == schema::kOpenApiV2Protobuf || one == schema::kOpenApiV2OldProtobuf) {
      return schema::OpenApiV2Form::kProtobuf;
    }
    if (one == "application/json" || one == "application/*" || one == "*/*") {
      return schema::OpenApiV2Form::kJson;
    }
  }
  return fail(Error::of(Reason::kNotAcceptable,
                        "only the following media types are accepted: application/json, " +
                            std::string(schema::kOpenApiV2Protobuf)));
}

std::string_view OpenApiV2::media_type(schema::OpenApiV2Form form) {
  return form == schema::OpenApiV2Form::kJson ? "application/json" : schema::kOpenApiV2Protobuf;
}

std::string OpenApiV2::hash(schema::OpenApiV2Form form) const {
  std::string text =
      state_->version + (form == schema::OpenApiV2Form::kJson ? " json" : " protobuf");
  for (const resources::ResourceDef* def : state_->registry.all()) {
    if (!def->served) continue;
    text += " " + def->group + " " + def->version + " " + def->resource;
    if (def->custom) text += raw_json_text(def->custom->openapi());
  }
  return schema::openapi_hash(text);
}

Task<Result<OpenApiV2::Document>> OpenApiV2::document(schema::OpenApiV2Form form) {
  auto state = state_;
  std::string wanted = hash(form);
  auto& kept = state->documents[index_of(form)];
  while (state->building) co_await state->built.wait();
  if (!kept || kept->hash != wanted) {
    // Also when this caller is cancelled.
    struct Turn {
      explicit Turn(State& of) : state(of) { state.building = true; }
      ~Turn() {
        state.building = false;
        state.built.notify();
      }
      State& state;
    } turn(*state);
    kept.reset();
    resources::Registry::Rows rows = state->registry.all();
    auto made = co_await call_on(state->executors.blocking(),
                                 [&] { return build(form, rows, state->version); });
    if (!made) co_return fail(made.error());
    kept = Document{std::make_shared<const std::string>(std::move(*made)), wanted};
  }
  Document out = *kept;
  state->forget.expires_after(kKept);
  state->forget.async_wait([weak = std::weak_ptr(state)](boost::system::error_code stopped) {
    auto still = weak.lock();
    if (stopped || !still) return;
    for (auto& one : still->documents) one.reset();
  });
  co_return out;
}

}  // namespace moth::server
