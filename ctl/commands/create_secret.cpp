// create secret, with its sorts.
#include "ctl/commands/generator_command.h"
#include "ctl/commands/generators.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

constexpr char kSecret[] = "secret";

}  // namespace

Command create_secret_command() {
  auto files = data_source_flags();
  return {
      .name = "secret",
      .summary = "Create a secret",
      .children = {
          {.name = "generic",
           .summary = "Create a secret from files, directories or literal values",
           .usage = "NAME [--from-literal=key=value] [--from-file=[key=]source]",
           .examples = "moth create secret generic db --from-literal=password=s3cret",
           .flags = join_flags(
               {create_flags(),
                files,
                {append_hash_flag(), {"type", 0, FlagKind::kText, "", "The type of the secret."}}}),
           .run = run_generator<make_generic_secret, kSecret>},
          {.name = "docker-registry",
           .summary = "Create a secret for a registry",
           .usage = "NAME --docker-server=S --docker-username=U --docker-password=P",
           .flags = join_flags({create_flags(),
                                files,
                                {append_hash_flag(),
                                 {"docker-email", 0, FlagKind::kText, "", "E-mail address."},
                                 {"docker-password", 0, FlagKind::kText, "", "Password."},
                                 {"docker-server", 0, FlagKind::kText,
                                  "https://index.docker.io/v1/", "Address of the registry."},
                                 {"docker-username", 0, FlagKind::kText, "", "User name."}}}),
           .run = run_generator<make_registry_secret, kSecret>},
          {.name = "tls",
           .summary = "Create a TLS secret from a certificate and its key",
           .usage = "NAME --cert=FILE --key=FILE",
           .flags = join_flags({create_flags(),
                                {append_hash_flag(),
                                 {"cert", 0, FlagKind::kText, "", "PEM file of the certificate."},
                                 {"key", 0, FlagKind::kText, "", "PEM file of the key."}}}),
           .run = run_generator<make_tls_secret, kSecret>}}};
}

}  // namespace moth::ctl
