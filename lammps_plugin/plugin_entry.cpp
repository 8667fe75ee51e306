// rhopotplugin.so: the file that LAMMPS opens at start.
//
// LAMMPS opens every *plugin.so in LAMMPS_PLUGIN_PATH at every start, for users of other potentials too. So this file links
// neither torch nor LAMMPS nor MPI: it registers one name, and opens librhopot_lammps.so beside it (and with it torch) only
// when `pair_style rhopot` is first used. Everything that can be wrong by then (another LAMMPS, another MPI, other integer
// sizes, a library that does not load) becomes a LAMMPS error with the reason; at start nothing is printed and nothing fails.
//
// LAMMPS never reports a version mismatch of an auto-loaded plugin, and its C++ classes have no stable layout. The checks
// therefore use the C library interface only, which has one.

#include <dlfcn.h>
#include <mpi.h>

#include <fstream>
#include <stdexcept>
#include <string>

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
using create_pair_function = void *(*) (void *lmp);

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

void *create_pair(void *lmp)
{
  // Until the versions are known to agree no LAMMPS class may be touched; LAMMPS prints what() of any exception and stops.
  const std::string reason = mismatch(lmp);
  if (!reason.empty())
    throw std::runtime_error("pair style rhopot: the plugin " + reason + "; reinstall rhopot against this LAMMPS");
  LAMMPS_NS::Error *error = static_cast<LAMMPS_NS::LAMMPS *>(lmp)->error;

  // Never closed: torch and the operators it registers cannot be unloaded. Deep binding: LAMMPS carries plain reference
  // versions of BLAS and LAPACK under their usual names, which would otherwise take the place of torch's own (7 x slower).
  const std::string other = torch_mismatch();
  if (!other.empty())
    error->all(FLERR, "pair style rhopot: its library " + other + "; reinstall rhopot with this torch");
  const std::string path = own_folder() + "librhopot_lammps.so";
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_NODELETE | RTLD_DEEPBIND);
  if (!library)
    error->all(FLERR, std::string("pair style rhopot: its library cannot be opened: ") + dlerror() +
                          "; reinstall rhopot into the environment this LAMMPS runs in");
  auto create = reinterpret_cast<create_pair_function>(dlsym(library, "rhopot_create_pair"));
  if (!create) error->all(FLERR, "pair style rhopot: " + path + " belongs to another rhopot; reinstall rhopot");
  return create(lmp);
}

}    // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lmp, void *handle, void *register_plugin)
{
  static lammpsplugin_t plugin{};
  plugin.version = RHOPOT_LAMMPS_VERSION_NAME;
  plugin.style = "pair";
  plugin.name = "rhopot";
  plugin.info = "rhopot machine-learning potentials";
  plugin.author = "rhopot";
  plugin.creator.v1 = &create_pair;
  plugin.handle = handle;
  reinterpret_cast<register_function>(register_plugin)(&plugin, lmp);
}
