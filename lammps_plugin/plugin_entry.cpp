// rhopotplugin.so: the file that LAMMPS opens at start.
//
// LAMMPS opens every *plugin.so in LAMMPS_PLUGIN_PATH at every start, for users of other potentials too. So this file links
// neither torch nor LAMMPS nor MPI: it registers the names of STYLES, and opens librhopot_lammps.so beside it (and with it
// torch) only when one of them is first used. Everything that can be wrong by then (another LAMMPS, another MPI, other integer
// sizes, a library that does not load) becomes a LAMMPS error with the reason; at start nothing is printed and nothing fails.
//
// LAMMPS never reports a version mismatch of an auto-loaded plugin, and its C++ classes have no stable layout. The checks
// therefore use the C library interface only, which has one.

#include <dlfcn.h>
#include <mpi.h>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "error.h"
#include "lammps.h"
#include "library.h"

// Error::all stays unresolved when this file is opened by a LAMMPS that lacks it, and is called only when versions agree.
asm(".weak _ZN9LAMMPS_NS5Error3allERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEiiS8_");

namespace {

// The plugin protocol, as the LAMMPS developer guide documents it ("Writing plugins").
struct lammpsplugin_t {
  const char *version;
  const char *style;
  const char *name;
  const char *info;
  const char *author;
  union {
    void *(*v1)(void *lmp);
    void *(*v2)(void *lmp, int narg, char **arg);
  } creator;
  void *handle;
};
using register_function = void (*)(lammpsplugin_t *, void *lmp);

// Everything that this plugin adds to LAMMPS: the words of the input, and the function of librhopot_lammps.so that makes one,
// `void *f(void *lmp)` for kind pair, `void *f(void *lmp, int narg, char **arg)` for kinds fix and compute.
struct Style {
  std::string_view kind;
  const char *name, *creator;
};
constexpr Style STYLES[] = {
    {"pair", "rhopot", "rhopot_create_pair"},
    {"fix", "rhopot/metad", "rhopot_create_metad"},
};

#if defined(OPEN_MPI)
constexpr const char *MPI_FAMILY = "Open MPI";
#else
constexpr const char *MPI_FAMILY = "MPICH";
#endif

template <typename Function> Function host_function(const char *name)
{
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

// MPICH, Intel MPI, MVAPICH and Cray MPICH share one binary interface; Open MPI has its own.
bool same_mpi_family(const std::string &library)
{
  if (std::string(MPI_FAMILY) == "Open MPI") return library.find("Open MPI") != std::string::npos;
  for (const char *name : {"MPICH", "Intel(R) MPI", "MVAPICH"})
    if (library.find(name) != std::string::npos) return true;
  return false;
}

std::string mpi_mismatch()
{
  auto get_version = host_function<decltype(&MPI_Get_library_version)>("MPI_Get_library_version");
  if (!get_version) return std::string("was built with ") + MPI_FAMILY + " but this LAMMPS has no MPI library";
  std::string library(MPI_MAX_LIBRARY_VERSION_STRING, '\0');
  int length = 0;
  get_version(library.data(), &length);
  library.resize(length);
  if (same_mpi_family(library)) return "";
  return std::string("was built with ") + MPI_FAMILY + " but this LAMMPS uses " + library.substr(0, library.find('\n'));
}

// Why this plugin cannot work inside the LAMMPS that opened it; empty when it can.
std::string mismatch(void *lmp)
{
  auto version = host_function<decltype(&lammps_version)>("lammps_version");
  auto setting = host_function<decltype(&lammps_extract_setting)>("lammps_extract_setting");
  if (!version || !setting) return "needs the LAMMPS C library interface, which this program does not export";
  if (version(lmp) != RHOPOT_LAMMPS_VERSION)
    return "was built for LAMMPS version " + std::to_string(RHOPOT_LAMMPS_VERSION) + ", this is " +
        std::to_string(version(lmp));
  if (setting(lmp, "tagint") != sizeof(LAMMPS_NS::tagint) || setting(lmp, "bigint") != sizeof(LAMMPS_NS::bigint))
    return "was built for other atom-ID sizes (-DLAMMPS_SIZES) than this LAMMPS";
  return mpi_mismatch();
}

// Folder of this file, with a slash; empty when it is not known.
std::string own_folder()
{
  Dl_info here;
  if (!dladdr(reinterpret_cast<void *>(&mismatch), &here) || !here.dli_fname) return "";
  const std::string file = here.dli_fname;
  return file.substr(0, file.rfind('/') + 1);
}

// Major and minor version, "2.13", in the first quoted or bare version of a file; empty when there is none.
std::string minor_version(const std::string &file, const std::string &key)
{
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const auto begin = line.find_first_of("0123456789");
    const auto dot = line.find('.', begin);
    if (begin == std::string::npos || dot == std::string::npos) return "";
    return line.substr(begin, line.find_first_not_of("0123456789", dot + 1) - begin);
  }
  return "";
}

// Why the torch that would be opened is none that the library beside this file was compiled against; empty when it is, or
// when either version is not known.
std::string torch_mismatch()
{
  const std::string built = minor_version(own_folder() + "torch_version.txt", "");
  const std::string running = minor_version(own_folder() + "../../torch/version.py", "__version__");
  if (built.empty() || running.empty() || built == running) return "";
  return "was built for torch " + built + ", installed is torch " + running;
}

// Never closed: torch and the operators it registers cannot be unloaded. Deep binding: LAMMPS carries plain reference versions
// of BLAS and LAPACK under their usual names, which would otherwise take the place of torch's own (7 x slower). The runtime of
// AddressSanitizer refuses it.
#ifdef __SANITIZE_ADDRESS__
constexpr int HOW_TO_OPEN = RTLD_NOW | RTLD_NODELETE;
#else
constexpr int HOW_TO_OPEN = RTLD_NOW | RTLD_NODELETE | RTLD_DEEPBIND;
#endif

// Opens librhopot_lammps.so; returns the creator of a style, or stops LAMMPS with the reason.
void *creator_of(const Style &style, void *lmp)
{
  const std::string name = std::string(style.kind) + " style " + style.name;
  // Until the versions are known to agree no LAMMPS class may be touched; LAMMPS prints what() of any exception and stops.
  const std::string reason = mismatch(lmp);
  if (!reason.empty()) throw std::runtime_error(name + ": the plugin " + reason + "; reinstall rhopot against this LAMMPS");
  LAMMPS_NS::Error *error = static_cast<LAMMPS_NS::LAMMPS *>(lmp)->error;

  const std::string other = torch_mismatch();
  if (!other.empty()) error->all(FLERR, name + ": its library " + other + "; reinstall rhopot with this torch");
  const std::string path = own_folder() + "librhopot_lammps.so";
  void *library = dlopen(path.c_str(), HOW_TO_OPEN);
  if (!library)
    error->all(FLERR,
               name + ": its library cannot be opened: " + dlerror() +
                   "; reinstall rhopot into the environment this LAMMPS runs in");
  void *creator = dlsym(library, style.creator);
  if (!creator) error->all(FLERR, name + ": " + path + " belongs to another rhopot; reinstall rhopot");
  return creator;
}

// LAMMPS does not tell a creator which style it is to make: each style has one of its own.
template <size_t Index> void *create(void *lmp)
{
  return reinterpret_cast<void *(*)(void *)>(creator_of(STYLES[Index], lmp))(lmp);
}

template <size_t Index> void *create_with_words(void *lmp, int narg, char **arg)
{
  return reinterpret_cast<void *(*)(void *, int, char **)>(creator_of(STYLES[Index], lmp))(lmp, narg, arg);
}

template <size_t Index> void register_style(register_function register_plugin, void *lmp, void *handle)
{
  constexpr Style style = STYLES[Index];
  lammpsplugin_t plugin{};    // LAMMPS keeps a copy
  plugin.version = RHOPOT_LAMMPS_VERSION_NAME;
  plugin.style = style.kind.data();
  plugin.name = style.name;
  plugin.info = "rhopot machine-learning potentials";
  plugin.author = "rhopot";
  plugin.handle = handle;
  if constexpr (style.kind == "pair")
    plugin.creator.v1 = &create<Index>;
  else
    plugin.creator.v2 = &create_with_words<Index>;
  register_plugin(&plugin, lmp);
}

template <size_t... Indices>
void register_styles(register_function register_plugin, void *lmp, void *handle, std::index_sequence<Indices...>)
{
  (register_style<Indices>(register_plugin, lmp, handle), ...);
}

}    // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lmp, void *handle, void *register_plugin)
{
  register_styles(reinterpret_cast<register_function>(register_plugin), lmp, handle,
                  std::make_index_sequence<std::size(STYLES)>());
}
