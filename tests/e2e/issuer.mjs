// An issuer that this project has no part in (oidc-provider), with two users and one client.
// node issuer.mjs FOLDER-WITH-OIDC-PROVIDER VIEWER-ORIGIN STUDY,STUDY
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [folder, viewer, studies] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const server = createServer();
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

const claimsOf = {
  guest: { studies: studies.split(',') },
  radiologist: { groups: ['radiology'] },
};
const resource = 'urn:staticwado';

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'ohif',
    token_endpoint_auth_method: 'none',
    redirect_uris: [`${viewer}/callback`],
    post_logout_redirect_uris: [`${viewer}/logout-redirect`],
    grant_types: ['authorization_code'],
  }],
  clientBasedCORS: (_, origin) => origin === viewer,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  scopes: ['openid', 'profile', 'studies'],
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'studies', audience: 'staticwado', accessTokenFormat: 'jwt', accessTokenTTL: 600,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  extraTokenClaims: (_, token) => claimsOf[token.accountId],
});
server.on('request', provider.callback());
console.log(issuer);
