<?php
// SabreDAV over a folder, with one account by HTTP Basic: what the tests start with PHP's own web server.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
require '/usr/share/php/Sabre/autoload.php';

$expected = 'Basic ' . base64_encode(getenv('DAV_USER') . ':' . getenv('DAV_PASSWORD'));
$given = $_SERVER['HTTP_AUTHORIZATION'] ?? 'Basic ' . base64_encode(($_SERVER['PHP_AUTH_USER'] ?? '') . ':' . ($_SERVER['PHP_AUTH_PW'] ?? ''));
if ($given !== $expected) {
    http_response_code(401);
    header('WWW-Authenticate: Basic realm="x"');
    exit;
}
$server = new Sabre\DAV\Server(new Sabre\DAV\FS\Directory(getenv('DAV_FOLDER') . '/files'));
$server->setBaseUri('/');
$server->exec();
