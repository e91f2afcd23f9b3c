/** The page that stands in for another while there is no network: it makes way when the network is back. */
window.addEventListener("online", () => location.reload());
