#pragma once
// libarchive converts names between the archive and the thread's locale, and in the "C" locale
// damages everything outside ASCII. While this lives, the thread's LC_CTYPE is C.UTF-8.
#include <locale.h>

namespace moth::images {

class TarLocale {
 public:
  TarLocale() : wanted_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (wanted_) previous_ = ::uselocale(wanted_);
  }
  ~TarLocale() {
    if (!wanted_) return;
    ::uselocale(previous_);
    ::freelocale(wanted_);
  }
  TarLocale(const TarLocale&) = delete;
  TarLocale& operator=(const TarLocale&) = delete;

 private:
  locale_t wanted_;
  locale_t previous_ = nullptr;
};

}  // namespace moth::images
