#include "api/http/tls.h"

#include "daemon/pki/certificates.h"
#include "tests/unit/api/http/harness.h"

namespace moth::http {
namespace {

using std::chrono::hours;

class TlsTest : public HttpTest {
 protected:
  void SetUp() override {
    ca = *pki::make_ca("test-ca", hours(24), now);
    other_ca = *pki::make_ca("other-ca", hours(24), now);
    pki::CertificateRequest request;
    request.common_name = "server";
    request.dns_names = {"localhost", "kubernetes.default"};
    request.ip_addresses = {"127.0.0.1"};
    request.server = true;
    request.lifetime = hours(1);
    certificate = *pki::sign(ca, request, now);
  }

  pki::KeyPair user(const pki::KeyPair& authority, WallTime when) {
    pki::CertificateRequest request;
    request.common_name = "jane";
    request.organizations = {"dev", "ops"};
    request.client = true;
    request.lifetime = hours(1);
    return *pki::sign(authority, request, when);
  }

  void serve_identity() {
    ServerTlsConfig config{
        certificate.certificate_pem, certificate.key_pem, ca.certificate_pem, {}};
    auto context = TlsContext::server(config);
    ASSERT_TRUE(context) << context.error().message;
    serve(
        [](Exchange& exchange) -> Task<void> {
          const Request& request = exchange.request();
          std::string text = request.tls ? "tls " : "plain ";
          if (request.peer) {
            text += request.peer->common_name;
            for (const std::string& group : request.peer->organizations) text += "," + group;
            text += " " + std::to_string(request.peer->fingerprint.size());
          } else {
            text += "nobody " + request.peer_error;
          }
          co_await exchange.send(Response::text(200, text));
        },
        {}, *context);
  }

  void trust(ClientTlsConfig config) {
    auto context = TlsContext::client(config);
    ASSERT_TRUE(context) << context.error().message;
    client_options.tls = *context;
  }

  WallTime now = std::chrono::system_clock::now();
  pki::KeyPair ca, other_ca, certificate;
};

TEST_F(TlsTest, ClientCertificateNamesTheUser) {
  serve_identity();
  auto jane = user(ca, now);
  trust({ca.certificate_pem, jane.certificate_pem, jane.key_pem, false, ""});
  for (int i = 0; i < 3; ++i) {
    auto response = run(client().request(get(base)));
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->body, "tls jane,dev,ops 64");
  }
  EXPECT_EQ(server->connections(), 1U);
}

TEST_F(TlsTest, NoCertificateIsNoUserAndNoError) {
  serve_identity();
  trust({ca.certificate_pem, "", "", false, ""});
  EXPECT_EQ(run(client().request(get(base)))->body, "tls nobody ");
}

TEST_F(TlsTest, ForeignCertificateIsNoUserWithAReason) {
  // A client that sends what it has, although the server does not name its CA.
  serve_identity();
  auto impostor = user(other_ca, now);
  trust({ca.certificate_pem, impostor.certificate_pem, impostor.key_pem, false, ""});
  auto response = run(client().request(get(base)));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_TRUE(response->body.starts_with("tls nobody x509: ")) << response->body;
}

TEST_F(TlsTest, ExpiredClientCertificateIsNoUser) {
  serve_identity();
  auto old = user(ca, now - hours(5));
  trust({ca.certificate_pem, old.certificate_pem, old.key_pem, false, ""});
  EXPECT_EQ(run(client().request(get(base)))->body, "tls nobody x509: certificate has expired");
}

TEST_F(TlsTest, ServerCertificateIsNoClientCertificate) {
  serve_identity();
  trust({ca.certificate_pem, certificate.certificate_pem, certificate.key_pem, false, ""});
  EXPECT_TRUE(run(client().request(get(base)))->body.starts_with("tls nobody x509: "));
}

TEST_F(TlsTest, ErrorsReadAsInGo) {
  serve_identity();
  auto message = [&](ClientTlsConfig config, std::string url) {
    auto context = TlsContext::client(config);
    ClientOptions options;
    options.tls = *context;
    Client other(loop.get_executor(), pool.get_executor(), options);
    auto response = run(other.request(get(url)));
    return response ? "no error" : response.error().message;
  };
  EXPECT_EQ(message({other_ca.certificate_pem, "", "", false, ""}, base),
            "Get \"" + base +
                "/\": tls: failed to verify certificate: x509: certificate signed by "
                "unknown authority");
  EXPECT_EQ(message({ca.certificate_pem, "", "", false, "example.org"}, base),
            "Get \"" + base +
                "/\": tls: failed to verify certificate: x509: certificate is valid for localhost, "
                "kubernetes.default, 127.0.0.1, not example.org");
  EXPECT_EQ(message({ca.certificate_pem, "", "", false, "kubernetes.default"}, base), "no error");
  EXPECT_EQ(message({"", "", "", true, ""}, base), "no error");
}

TEST_F(TlsTest, ExpiredServerCertificateIsRefused) {
  pki::CertificateRequest request;
  request.common_name = "server";
  request.ip_addresses = {"127.0.0.1"};
  request.server = true;
  request.lifetime = hours(1);
  certificate = *pki::sign(ca, request, now - hours(3));
  serve_identity();
  trust({ca.certificate_pem, "", "", false, ""});
  auto response = run(client().request(get(base)));
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("certificate has expired or is not yet valid"),
            std::string::npos)
      << response.error().message;
}

TEST_F(TlsTest, PlainAndTlsAreToldApart) {
  serve_identity();
  auto response = run(client().request(get("http://127.0.0.1:" + std::to_string(port))));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 400);
  EXPECT_EQ(response->body, "Client sent an HTTP request to an HTTPS server.\n");
  run(server->stop());
  server.reset();
  serve([](Exchange& exchange) -> Task<void> { co_await exchange.send(Response::text(200, "x")); });
  auto wrong = run(client().request(get("https://127.0.0.1:" + std::to_string(port))));
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("server gave HTTP response to HTTPS client"),
            std::string::npos)
      << wrong.error().message;
}

TEST_F(TlsTest, LargeBodiesBothWaysAndManyChunks) {
  ServerTlsConfig config{certificate.certificate_pem, certificate.key_pem, "", {}};
  ServerOptions options;
  options.body_limit = 64 << 20;
  serve(
      [](Exchange& exchange) -> Task<void> {
        Response response = Response::text(200, std::move(exchange.request().body));
        for (int i = 0; i < 3000; ++i) {
          response.chunks.push_back(std::make_shared<std::string>(std::to_string(i)));
        }
        co_await exchange.send(std::move(response));
      },
      options, *TlsContext::server(config));
  trust({ca.certificate_pem, "", "", false, ""});
  ClientRequest request = get(base);
  request.method = "POST";
  for (int i = 0; request.body.size() < (20U << 20); ++i) request.body += std::to_string(i);
  std::string expected = request.body;
  for (int i = 0; i < 3000; ++i) expected += std::to_string(i);
  auto response = run(client().request(request));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_TRUE(response->body == expected);
}

TEST_F(TlsTest, StreamsNoticeTheClientsEnd) {
  bool gone = false;
  ServerTlsConfig config{certificate.certificate_pem, certificate.key_pem, "", {}};
  serve(
      [&](Exchange& exchange) -> Task<void> {
        auto writer = co_await exchange.start_stream(200, {}, Exchange::OnDisconnect::kKeepRunning);
        for (int i = 0; i < 3; ++i) co_await writer->write(std::string_view("line\n"));
        co_await writer->wait_closed();
        gone = true;
      },
      {}, *TlsContext::server(config));
  trust({ca.certificate_pem, "", "", false, ""});
  auto scenario = [&]() -> Task<void> {
    {
      auto stream = co_await client().open(get(base));
      for (int i = 0; i < 3; ++i) EXPECT_EQ(**co_await stream->read_line(), "line");
    }
    for (int i = 0; i < 200 && !gone; ++i) co_await sleep(milliseconds(5));
  };
  run(scenario());
  EXPECT_TRUE(gone);
}

TEST_F(TlsTest, WebSocketsWork) {
  ServerTlsConfig config{certificate.certificate_pem, certificate.key_pem, "", {}};
  serve(
      [](Exchange& exchange) -> Task<void> {
        auto socket = co_await exchange.upgrade_websocket("");
        auto message = co_await socket->read();
        co_await socket->write_binary((**message).data);
        co_await socket->close();
      },
      {}, *TlsContext::server(config));
  trust({ca.certificate_pem, "", "", false, ""});
  auto scenario = [&]() -> Task<std::string> {
    auto socket = co_await client().websocket(get("wss" + base.substr(5)), {});
    co_await socket->write_text("over tls");
    co_return (**co_await socket->read()).data;
  };
  EXPECT_EQ(run(scenario()), "over tls");
}

TEST_F(TlsTest, NameSelectsTheCertificate) {
  pki::CertificateRequest request;
  request.common_name = "special";
  request.dns_names = {"special.example"};
  request.server = true;
  auto special = *pki::sign(ca, request, now);
  auto inner = *TlsContext::server({special.certificate_pem, special.key_pem, "", {}});
  ServerTlsConfig config{certificate.certificate_pem, certificate.key_pem, "", {}};
  config.select = [inner](std::string_view name) {
    return name == "special.example" ? inner : nullptr;
  };
  serve([](Exchange& exchange) -> Task<void> { co_await exchange.send(Response::text(200, "x")); },
        {}, *TlsContext::server(config));
  for (const char* name : {"special.example", "kubernetes.default"}) {
    ClientOptions options;
    options.tls = *TlsContext::client({ca.certificate_pem, "", "", false, name});
    Client other(loop.get_executor(), pool.get_executor(), options);
    auto response = run(other.request(get(base)));
    EXPECT_TRUE(response) << response.error().message;
  }
}

TEST_F(TlsTest, RenewedCertificatesServeNewConnections) {
  serve_identity();
  pki::CertificateRequest request;
  request.common_name = "server";
  request.ip_addresses = {"127.0.0.1"};
  request.server = true;
  auto renewed = *pki::sign(other_ca, request, now);
  server->set_tls(*TlsContext::server({renewed.certificate_pem, renewed.key_pem, "", {}}));
  trust({other_ca.certificate_pem, "", "", false, ""});
  EXPECT_TRUE(run(client().request(get(base))));
}

TEST_F(TlsTest, BadPemIsNamed) {
  auto no_certificate = TlsContext::server({"x", certificate.key_pem, "", {}});
  EXPECT_NE(no_certificate.error().message.find("certificate input"), std::string::npos);
  auto no_key = TlsContext::server({certificate.certificate_pem, "x", "", {}});
  EXPECT_NE(no_key.error().message.find("key input"), std::string::npos);
  auto mismatch = TlsContext::server({certificate.certificate_pem, ca.key_pem, "", {}});
  EXPECT_EQ(mismatch.error().message, "tls: private key does not match public key");
  EXPECT_FALSE(TlsContext::client({"x", "", "", false, ""}));
}

}  // namespace
}  // namespace moth::http
