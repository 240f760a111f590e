// GET /openapi/v2.
#include "api/base/await_on.h"
#include "api/http/gzip.h"
#include "api/server/api_server_impl.h"

namespace moth::server {
namespace {

constexpr std::size_t kMaxPlain = 64u << 20;

bool takes_gzip(const http::Request& request) {
  for (std::string_view value : request.headers.all("Accept-Encoding")) {
    if (value.find("gzip") != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

Task<Result<>> ApiServer::Impl::openapi_v2(Call& call) {
  MOTH_CO_ASSIGN(schema::OpenApiV2Form form,
                 OpenApiV2::form_of(call.request().headers.get("Accept")));
  http::Response response;
  response.headers.set("Content-Type", std::string(OpenApiV2::media_type(form)));
  response.headers.set("Vary", "Accept, Accept-Encoding");
  response.headers.set("ETag", "\"" + openapi_v2_.hash(form) + "\"");
  if (call.request().headers.get("If-None-Match") == response.headers.get("ETag")) {
    response.status = 304;
    co_await call.exchange.send(std::move(response));
    co_return Result<>{};
  }
  MOTH_CO_ASSIGN(OpenApiV2::Document document, co_await openapi_v2_.document(form));
  response.headers.set("ETag", "\"" + document.hash + "\"");
  if (takes_gzip(call.request())) {
    response.headers.set("Content-Encoding", "gzip");
    response.chunks.push_back(document.gzip);
  } else {
    auto plain = co_await call_on(executors_.blocking(),
                                  [&] { return http::gunzip(*document.gzip, kMaxPlain); });
    if (!plain) co_return fail(plain.error());
    response.body = std::move(*plain);
  }
  co_await call.exchange.send(std::move(response));
  co_return Result<>{};
}

}  // namespace moth::server
