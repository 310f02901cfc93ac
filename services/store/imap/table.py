"""Which function carries out which command."""

from collections.abc import Mapping

from services.store.imap import arranging, entering, fetching, handling, listing, searching, selecting
from services.store.imap import commands as said
from services.store.imap.session import Handler

HANDLERS: Mapping[type, Handler] = {
    said.Capability: entering.capability,
    said.Noop: entering.noop,
    said.Logout: entering.logout,
    said.Id: entering.identify,
    said.StartTls: entering.start_tls,
    said.Authenticate: entering.authenticate,
    said.Login: entering.login,
    said.Enable: entering.enable,
    said.Select: selecting.select,
    said.Close: selecting.close,
    said.Unselect: selecting.unselect,
    said.Idle: selecting.idle,
    said.Check: entering.check,
    said.Create: arranging.create,
    said.Delete: arranging.delete,
    said.Rename: arranging.rename,
    said.Subscribe: arranging.subscribe,
    said.Unsubscribe: arranging.unsubscribe,
    said.GetQuota: arranging.get_quota,
    said.GetQuotaRoot: arranging.get_quota_root,
    said.List: listing.list_folders,
    said.Lsub: listing.lsub,
    said.Namespace: listing.namespace,
    said.Status: listing.status,
    said.Search: searching.search,
    said.Fetch: fetching.fetch,
    said.Store: handling.store,
    said.Expunge: handling.expunge,
    said.Copy: handling.copy,
    said.Move: handling.move,
    said.Append: handling.append,
}
